/*
 * What a worker that was taken over could send its host: frames, and the
 * payload of each as every type that there is.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/ipc.h"

#include "wire/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_all(struct str p)
{
	struct proto_setup setup;
	struct proto_load load;
	struct proto_loaded loaded;
	struct proto_run run;
	struct proto_outcome outcome;
	struct proto_invoke invoke;
	struct proto_invoked invoked;
	struct proto_log log;
	struct proto_step_put step;
	struct proto_kv kv;
	struct proto_ask ask;
	struct proto_test test;
	struct proto_answer answer;
	struct proto_call call;
	uint64_t number;
	char *a, *b;

	(void)!proto_get_setup(p, &setup);
	if (proto_get_load(p, &load) == 0)
		proto_load_clear(&load);
	if (proto_get_loaded(p, &loaded) == 0)
		proto_loaded_clear(&loaded);
	if (proto_get_run(p, &run) == 0)
		proto_run_clear(&run);
	if (proto_get_outcome(p, &outcome) == 0)
		proto_outcome_clear(&outcome);
	if (proto_get_invoke(p, &invoke) == 0)
		proto_invoke_clear(&invoke);
	if (proto_get_invoked(p, &invoked) == 0)
		proto_invoked_clear(&invoked);
	if (proto_get_log(p, &log) == 0)
		proto_log_clear(&log);
	(void)!proto_get_step(p, &step);
	(void)!proto_get_kv(p, &kv);
	(void)!proto_get_ask(p, &ask);
	if (proto_get_test(p, &test) == 0)
		proto_test_clear(&test);
	(void)!proto_get_answer(p, &answer);
	(void)!proto_get_call(p, &call);
	(void)!proto_get_number(p, &number);
	if (proto_get_texts(p, &a, &b) == 0) {
		free(a);
		free(b);
	}
	if (proto_get_secret(p, &number, &a) == 0)
		free(a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data;
	struct ipc_frame f;
	struct err err = ERR_INIT;
	ptrdiff_t n;

	read_all((struct str){at, size});
	while ((n = ipc_next(at, size, &f, &err)) > 0) {
		read_all(f.payload);
		at += n;
		size -= (size_t)n;
	}
	return 0;
}
