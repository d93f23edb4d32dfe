#include <sys/socket.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/ipc.h"
#include "base/mem.h"
#include "script/worker.h"
#include "wire/proto.h"
#include "wire/spawn.h"

/*
 * A whole worker, over its socket: in a forked child of the test, and as the
 * real program where MOONPOST_BIN names it.
 */

static int fd = -1;
static pid_t pid = -1;
static struct buf in, out;

static void
start(void)
{
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	pid = fork();
	cr_assert_neq(pid, -1);
	if (pid == 0) {
		(void)close(pair[0]);
		/* The exit handlers are the test's, not the worker's. */
		_exit(worker_main(pair[1]));
	}
	(void)close(pair[1]);
	fd = pair[0];
}

/* Close the socket, and return the worker's exit status. */
static int
finish(void)
{
	int status = 0;

	if (fd != -1)
		(void)close(fd);
	fd = -1;
	buf_reset(&in);
	if (pid == -1)
		return 0;
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	pid = -1;
	return WIFEXITED(status) ? WEXITSTATUS(status)
				 : 1000 + WTERMSIG(status);
}

static void
teardown(void)
{
	(void)finish();
	buf_free(&in);
	buf_free(&out);
}

TestSuite(worker, .fini = teardown, .timeout = 60);

static void
send_out(void)
{
	size_t at = 0;
	ssize_t n;

	while (at < out.len) {
		n = write(fd, out.data + at, out.len - at);
		cr_assert_gt(n, 0);
		at += (size_t)n;
	}
	buf_reset(&out);
}

/* The next frame; its payload is in `in` until the next call. */
static struct ipc_frame
next(void)
{
	static size_t done;
	struct ipc_frame f;
	struct err err;
	struct pollfd p = {fd, POLLIN, 0};
	ptrdiff_t size;
	ssize_t n;

	if (done > 0 && in.len > 0) {
		(void)memmove(in.data, in.data + done, in.len - done);
		in.len -= done;
	}
	done = 0;
	while ((size = ipc_next(in.data, in.len, &f, &err)) == 0) {
		cr_assert_eq(poll(&p, 1, 30000), 1, "no answer");
		n = read(fd, buf_reserve(&in, 65536), 65536);
		cr_assert_gt(n, 0, "the worker is gone");
		in.len += (size_t)n;
	}
	cr_assert_gt(size, 0);
	done = (size_t)size;
	return f;
}

/* The next frame must be of ${type} and ${id}. */
static struct str
expect(enum proto_type type, uint64_t id)
{
	struct ipc_frame f = next();

	cr_assert_eq(f.type, (uint32_t)type, "type %u, not %d", f.type, type);
	cr_assert_eq(f.id, id);
	return f.payload;
}

static void
set_up(void)
{
	struct proto_setup m = {
	    16U << 20, 100, 100, 2000, 0, 0, {NULL, 0}, {NULL, 0}};

	proto_put_setup(&out, &m);
	send_out();
	(void)expect(PROTO_READY, 0);
}

static void
put_load(uint64_t bundle, const char *source)
{
	char deflt[] = "default", script[] = "on_x", chunk[] = "s/on_x.lua";
	struct proto_load m = {deflt, script, chunk, str_of(source), NULL, 0};

	proto_put_load(&out, bundle, &m);
}

static void
load(uint64_t bundle, const char *source)
{
	struct proto_loaded m;

	put_load(bundle, source);
	send_out();
	cr_assert_eq(proto_get_loaded(expect(PROTO_LOADED, bundle), &m), 0);
	cr_assert_null(m.error, "%s", m.error);
	proto_loaded_clear(&m);
}

static void
put_run(uint64_t job, uint64_t bundle, const char *body)
{
	char handler[] = "on_x", text[] = "x";
	struct proto_run m = {bundle, handler, text, text, text, text, text,
	    NULL, 1, 1, STR("{}"), {NULL, 0}, str_of(body), NULL, 0};

	proto_put_run(&out, job, &m);
}

static struct proto_outcome
outcome(uint64_t job)
{
	struct proto_outcome m;

	cr_assert_eq(proto_get_outcome(expect(PROTO_OUTCOME, job), &m), 0);
	return m;
}

static void
expect_outcome(uint64_t job, enum proto_result result)
{
	struct proto_outcome m = outcome(job);

	cr_expect_eq(m.result, result, "job %d: %s", (int)job, m.error);
	proto_outcome_clear(&m);
}

Test(worker, loads_runs_logs_and_ends_with_its_socket)
{
	struct proto_log log;

	start();
	set_up();
	load(7, "function on_x(event) log.info('hello', {n = event.data.n}) "
		"end");
	put_run(1, 7, "{\"data\":{\"n\":3}}");
	send_out();
	cr_assert_eq(proto_get_log(expect(PROTO_LOG, 1), &log), 0);
	cr_expect_str_eq(log.script, "on_x");
	cr_expect_str_eq(log.message, "hello");
	cr_assert_eq(log.nfields, 1);
	cr_expect(str_eq(log.fields[0].json, STR("3")));
	proto_log_clear(&log);
	expect_outcome(1, PROTO_DONE);
	cr_expect_eq(finish(), 0);
}

Test(worker, logs_fields_in_the_order_of_their_names)
{
	static const char *const names[] = {"a", "ab", "b", "c", "d", "e"};
	struct proto_log log;
	size_t i;

	start();
	set_up();
	load(7, "function on_x(event) log.info('hello', {d = 1, ab = 1, e = 1, "
		"a = 1, c = 1, b = 1}) end");
	put_run(1, 7, "{\"data\":{}}");
	send_out();
	cr_assert_eq(proto_get_log(expect(PROTO_LOG, 1), &log), 0);
	cr_assert_eq(log.nfields, NELEMS(names));
	for (i = 0; i < NELEMS(names); i++)
		cr_expect(str_eq(log.fields[i].key, str_of(names[i])));
	proto_log_clear(&log);
	expect_outcome(1, PROTO_DONE);
	cr_expect_eq(finish(), 0);
}

Test(worker, tells_why_a_script_does_not_load)
{
	struct proto_loaded m;

	start();
	set_up();
	put_load(7, "error('no')");
	put_load(8, "function on_x(");
	send_out();
	cr_assert_eq(proto_get_loaded(expect(PROTO_LOADED, 7), &m), 0);
	cr_expect_str_eq(m.error, "s/on_x.lua:1: no");
	proto_loaded_clear(&m);
	cr_assert_eq(proto_get_loaded(expect(PROTO_LOADED, 8), &m), 0);
	cr_expect_not_null(m.error);
	proto_loaded_clear(&m);
	put_run(1, 7, "{}");
	send_out();
	expect_outcome(1, PROTO_GONE);
}

Test(worker, jobs_wait_side_by_side)
{
	struct proto_outcome m;
	struct ipc_frame f;
	unsigned int seen = 0;
	uint64_t i;

	start();
	set_up();
	load(7, "function on_x() sleep(0.05) end");
	for (i = 1; i <= 20; i++)
		put_run(i, 7, "{}");
	send_out();
	for (i = 1; i <= 20; i++) {
		f = next();
		cr_assert_eq(f.type, PROTO_OUTCOME);
		cr_assert_eq(proto_get_outcome(f.payload, &m), 0);
		cr_expect_eq(m.result, PROTO_DONE, "%s", m.error);
		proto_outcome_clear(&m);
		seen |= 1U << f.id;
	}
	cr_expect_eq(seen, (1U << 21) - 2);
}

Test(worker, a_bundle_leaves_when_its_last_job_has_ended)
{
	start();
	set_up();
	load(7, "function on_x() sleep(0.05) end");
	put_run(1, 7, "{}");
	proto_put_plain(&out, PROTO_UNLOAD, 7);
	put_run(2, 7, "{}");
	proto_put_plain(&out, PROTO_UNLOAD, 99);
	send_out();
	expect_outcome(2, PROTO_GONE);
	expect_outcome(1, PROTO_DONE);
	/* Now the number is free again. */
	load(7, "function on_x() end");
}

Test(worker, stops_when_the_last_run_has_ended)
{
	start();
	set_up();
	load(7, "function on_x() sleep(0.05) end");
	put_run(1, 7, "{}");
	proto_put_plain(&out, PROTO_STOP, 0);
	put_run(2, 7, "{}");
	send_out();
	expect_outcome(2, PROTO_GONE);
	expect_outcome(1, PROTO_DONE);
	cr_expect_eq(waitpid(pid, NULL, 0), pid);
	pid = -1;
}

Test(worker, answers_a_ping)
{
	start();
	set_up();
	proto_put_plain(&out, PROTO_PING, 12);
	send_out();
	(void)expect(PROTO_PONG, 12);
}

Test(worker, asks_for_secrets_and_keeps_what_comes_between)
{
	uint64_t bundle;
	char *name;
	struct ipc_frame f;

	start();
	set_up();
	put_load(7, "url = secret 'URL' function on_x() "
		    "assert(url == 'u' and secret 'KEY' == 'k') end");
	send_out();
	f = next();
	cr_assert_eq(f.type, PROTO_SECRET);
	cr_assert_eq(proto_get_secret(f.payload, &bundle, &name), 0);
	cr_expect_eq(bundle, 7);
	cr_expect_str_eq(name, "URL");
	free(name);
	/* Other frames come first. */
	proto_put_plain(&out, PROTO_PING, 1);
	put_run(1, 7, "{}");
	proto_put_texts(&out, PROTO_SECRET_IS, f.id, "u", NULL);
	proto_put_plain(&out, PROTO_PING, 2);
	send_out();
	(void)expect(PROTO_LOADED, 7);
	(void)expect(PROTO_PONG, 1);
	f = next();
	cr_assert_eq(f.type, PROTO_SECRET);
	proto_put_texts(&out, PROTO_SECRET_IS, f.id, "k", NULL);
	send_out();
	expect_outcome(1, PROTO_DONE);
	(void)expect(PROTO_PONG, 2);
}

Test(worker, evaluates_configuration)
{
	struct ipc_frame f;
	uint64_t bundle;
	char *name, *text, *error;

	start();
	set_up();
	proto_put_texts(&out, PROTO_EVAL, 5, "moonpost.lua",
	    "return {listen = env 'LISTEN', no = env 'NO'}");
	send_out();
	f = next();
	cr_assert_eq(f.type, PROTO_SECRET);
	cr_assert_eq(proto_get_secret(f.payload, &bundle, &name), 0);
	cr_expect_eq(bundle, 0);
	cr_expect_str_eq(name, "env:LISTEN");
	free(name);
	proto_put_texts(&out, PROTO_SECRET_IS, f.id, "x:1", NULL);
	send_out();
	f = next();
	proto_put_texts(&out, PROTO_SECRET_IS, f.id, NULL, NULL);
	send_out();
	cr_assert_eq(
	    proto_get_texts(expect(PROTO_EVALUATED, 5), &text, &error), 0);
	cr_expect_str_eq(text, "{\"listen\":\"x:1\"}");
	cr_expect_null(error);
	free(text);
}

Test(worker, a_limit_broken_in_one_script_leaves_the_others_alone)
{
	struct proto_outcome m;
	struct ipc_frame f;

	start();
	set_up();
	load(7, "function on_x() while true do end end");
	load(8, "function on_x() sleep(0.01) end");
	put_run(1, 8, "{}");
	put_run(2, 7, "{}");
	put_run(3, 8, "{}");
	send_out();
	m = outcome(2);
	cr_expect_str_eq(m.error, "s/on_x.lua:1: CPU limit of 100ms exceeded");
	proto_outcome_clear(&m);
	f = next();
	cr_assert(f.type == PROTO_OUTCOME && (f.id == 1 || f.id == 3));
	expect_outcome(4 - f.id, PROTO_DONE);
}

Test(worker, large_bodies_and_many_logs_pass)
{
	struct buf body = BUF_INIT;
	struct ipc_frame f;
	int logs = 0;

	start();
	set_up();
	load(7, "function on_x(event) assert(#event.data.s == 3000000) for i = "
		"1, 900 do log.info(('x'):rep(200)) end end");
	buf_puts(&body, "{\"data\":{\"s\":\"");
	(void)memset(buf_reserve(&body, 3000000), 'x', 3000000);
	body.len += 3000000;
	buf_puts(&body, "\"}}");
	put_run(1, 7, buf_text(&body));
	buf_free(&body);
	send_out();
	while ((f = next()).type == PROTO_LOG)
		logs++;
	cr_expect_eq(logs, 900);
	cr_expect_eq(f.type, PROTO_OUTCOME);
}

Test(worker, what_is_not_in_the_protocol_ends_it)
{
	start();
	proto_put_plain(&out, PROTO_PING, 1);
	send_out();
	cr_expect_eq(finish(), 3);

	start();
	set_up();
	proto_put_plain(&out, (enum proto_type)77, 1);
	send_out();
	cr_expect_eq(finish(), 3);

	start();
	set_up();
	proto_put_plain(&out, PROTO_LOAD, 1);
	send_out();
	cr_expect_eq(finish(), 3);
}

Test(worker, a_program_that_is_not_there_is_an_error)
{
	struct worker_proc proc = WORKER_PROC_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(worker_spawn("/nonexistent", 0, &proc, &err), -1);
	cr_expect_eq(err.code, ERR_UNAVAILABLE);
	cr_expect_not_null(strstr(err.msg, "/nonexistent"), "%s", err.msg);
	worker_proc_clear(&proc);
}

/* What the child of worker_spawn() has of ours: /proc tells. */
static void
read_proc(pid_t of, const char *what, struct buf *text)
{
	char path[64];
	int f;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)of, what);
	f = open(path, O_RDONLY);
	buf_reset(text);
	if (f == -1)
		return;
	while ((n = read(f, buf_reserve(text, 4096), 4096)) > 0)
		text->len += (size_t)n;
	buf_putc(text, '\0');
	(void)close(f);
}

Test(worker, the_real_one_is_spawned_with_nothing_of_ours)
{
	const char *program = getenv("MOONPOST_BIN");
	struct worker_proc proc = WORKER_PROC_INIT;
	struct buf text = BUF_INIT;
	struct err err = ERR_INIT;

	if (program == NULL || access(program, X_OK) == -1)
		cr_skip_test("MOONPOST_BIN is not set");
	(void)setenv("SENTRY_CLIENT_SECRET", "s3cret", 1);
	cr_assert_eq(
	    worker_spawn(program, 4ULL << 30, &proc, &err), 0, "%s", err.msg);
	fd = proc.fd;
	pid = proc.pid;
	(void)fcntl(fd, F_SETFL, 0);
	set_up();
	read_proc(pid, "status", &text);
	cr_expect_not_null(strstr(text.data, "moonpost-worker"));
	cr_expect_not_null(strstr(text.data, "NoNewPrivs:\t1"));
	read_proc(pid, "environ", &text);
	cr_expect_leq(text.len, 1);
	load(7, "function on_x() if busy then while true do end end busy = "
		"true end");
	put_run(1, 7, "{}");
	put_run(2, 7, "{}");
	send_out();
	expect_outcome(1, PROTO_DONE);
	expect_outcome(2, PROTO_ERROR);
	cr_expect_geq(proc.page->slices, 3);
	cr_expect_eq(finish(), 0);
	proc.fd = -1;
	worker_proc_clear(&proc);
	buf_free(&text);
}

Test(worker, the_page_tells_what_ran_when_it_died)
{
	const char *program = getenv("MOONPOST_BIN");
	struct worker_proc proc = WORKER_PROC_INIT;
	struct proto_setup m = {0, 0, 0, 0, 0, 0, {NULL, 0}, {NULL, 0}};

	if (program == NULL || access(program, X_OK) == -1)
		cr_skip_test("MOONPOST_BIN is not set");
	cr_assert_eq(worker_spawn(program, 0, &proc, NULL), 0);
	fd = proc.fd;
	pid = proc.pid;
	(void)fcntl(fd, F_SETFL, 0);
	proto_put_setup(&out, &m);
	send_out();
	(void)expect(PROTO_READY, 0);
	load(7, "function on_x() while true do end end");
	put_run(41, 7, "{}");
	send_out();
	while (proc.page->activity != PROTO_IN_RUN)
		(void)sched_yield();
	(void)kill(pid, SIGKILL);
	cr_expect_eq(finish(), 1000 + SIGKILL);
	cr_expect_eq(proc.page->activity, PROTO_IN_RUN);
	cr_expect_eq(proc.page->id, 41);
	cr_expect_gt(proc.page->since_mono_ms, 0);
	proc.fd = -1;
	worker_proc_clear(&proc);
}
