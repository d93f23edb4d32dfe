#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"

#include "wire/proto.h"

/* What an element of an array takes on the wire at the very least. */
#define MIN_ELEMENT 4

/*
 * How many elements follow.  A number that cannot be true, as there are too few
 * bytes behind it, must not become an allocation.
 */
static size_t
unpack_count(struct unpack *u)
{
	uint64_t n = unpack_u64(u);

	if (n > (uint64_t)(u->end - u->at) / MIN_ELEMENT) {
		u->failed = 1;
		return 0;
	}
	return (size_t)n;
}

/* A number that is 0 or 1. */
static int
unpack_flag(struct unpack *u)
{
	uint64_t v = unpack_u64(u);

	if (v > 1)
		u->failed = 1;
	return v == 1;
}

static void
free_texts(char **texts, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		free(texts[i]);
	free(texts);
}

static void
pack_texts(struct buf *out, char *const *texts, size_t n)
{
	size_t i;

	pack_u64(out, n);
	for (i = 0; i < n; i++)
		pack_text(out, texts[i]);
}

/* An array of texts, none of which may be NULL. */
static char **
unpack_texts(struct unpack *u, size_t *ret_n)
{
	size_t i, n = unpack_count(u);
	char **texts = n == 0 ? NULL : mem_array(n, sizeof(*texts));

	*ret_n = n;
	for (i = 0; i < n && !u->failed; i++) {
		texts[i] = unpack_text(u);
		if (texts[i] == NULL)
			u->failed = 1;
	}
	return texts;
}

/* A text that may not be NULL. */
static char *
unpack_name(struct unpack *u)
{
	char *s = unpack_text(u);

	if (s == NULL)
		u->failed = 1;
	return s;
}

void
proto_put_setup(struct buf *out, const struct proto_setup *m)
{
	size_t at = ipc_begin(out, PROTO_SETUP, 0);

	pack_u64(out, m->mem_bytes);
	pack_u64(out, m->cpu_ms);
	pack_u64(out, m->slow_ms);
	pack_u64(out, m->handler_ms);
	pack_u64(out, m->debug ? 1 : 0);
	pack_u64(out, m->unsafe ? 1 : 0);
	pack_str(out, m->guard);
	pack_str(out, m->proxy);
	ipc_end(out, at);
}

int
proto_get_setup(struct str payload, struct proto_setup *ret)
{
	struct unpack u = unpack_begin(payload);

	ret->mem_bytes = unpack_u64(&u);
	ret->cpu_ms = unpack_u64(&u);
	ret->slow_ms = unpack_u64(&u);
	ret->handler_ms = unpack_u64(&u);
	ret->debug = unpack_flag(&u);
	ret->unsafe = unpack_flag(&u);
	ret->guard = unpack_str(&u);
	ret->proxy = unpack_str(&u);
	return unpack_end(&u);
}

static void
pack_libs(struct buf *out, const struct proto_lib *libs, size_t n)
{
	size_t i;

	pack_u64(out, n);
	for (i = 0; i < n; i++) {
		pack_str(out, libs[i].name);
		pack_str(out, libs[i].source);
	}
}

static struct proto_lib *
unpack_libs(struct unpack *u, size_t *ret_n)
{
	size_t i, n = unpack_count(u);
	struct proto_lib *libs = n == 0 ? NULL : mem_array(n, sizeof(*libs));

	*ret_n = n;
	for (i = 0; i < n && !u->failed; i++) {
		libs[i].name = unpack_str(u);
		libs[i].source = unpack_str(u);
	}
	return libs;
}

void
proto_put_load(struct buf *out, uint64_t bundle, const struct proto_load *m)
{
	size_t at = ipc_begin(out, PROTO_LOAD, bundle);

	pack_text(out, m->integration);
	pack_text(out, m->script);
	pack_text(out, m->chunk);
	pack_str(out, m->source);
	pack_libs(out, m->libs, m->nlibs);
	ipc_end(out, at);
}

int
proto_get_load(struct str payload, struct proto_load *ret)
{
	struct unpack u = unpack_begin(payload);

	*ret = (struct proto_load){0};
	ret->integration = unpack_name(&u);
	ret->script = unpack_name(&u);
	ret->chunk = unpack_name(&u);
	ret->source = unpack_str(&u);
	ret->libs = unpack_libs(&u, &ret->nlibs);
	if (unpack_end(&u) == 0)
		return 0;
	proto_load_clear(ret);
	return -1;
}

void
proto_load_clear(struct proto_load *m)
{
	free(m->integration);
	free(m->script);
	free(m->chunk);
	free(m->libs);
	*m = (struct proto_load){0};
}

void
proto_put_test(struct buf *out, uint64_t id, const struct proto_test *m)
{
	size_t at = ipc_begin(out, PROTO_TEST, id);

	pack_text(out, m->name);
	pack_text(out, m->chunk);
	pack_text(out, m->test);
	pack_u64(out, m->wall_ms);
	pack_str(out, m->source);
	pack_libs(out, m->scripts, m->nscripts);
	pack_libs(out, m->libs, m->nlibs);
	ipc_end(out, at);
}

int
proto_get_test(struct str payload, struct proto_test *ret)
{
	struct unpack u = unpack_begin(payload);

	*ret = (struct proto_test){0};
	ret->name = unpack_name(&u);
	ret->chunk = unpack_name(&u);
	ret->test = unpack_text(&u);
	ret->wall_ms = unpack_u64(&u);
	ret->source = unpack_str(&u);
	ret->scripts = unpack_libs(&u, &ret->nscripts);
	ret->libs = unpack_libs(&u, &ret->nlibs);
	if (unpack_end(&u) == 0)
		return 0;
	proto_test_clear(ret);
	return -1;
}

void
proto_test_clear(struct proto_test *m)
{
	free(m->name);
	free(m->chunk);
	free(m->test);
	free(m->scripts);
	free(m->libs);
	*m = (struct proto_test){0};
}

void
proto_put_loaded(struct buf *out, uint64_t bundle, const struct proto_loaded *m)
{
	size_t at = ipc_begin(out, PROTO_LOADED, bundle);

	pack_text(out, m->error);
	pack_text(out, m->traceback);
	pack_texts(out, m->handlers, m->nhandlers);
	pack_texts(out, m->libs, m->nlibs);
	pack_text(out, m->declared);
	ipc_end(out, at);
}

int
proto_get_loaded(struct str payload, struct proto_loaded *ret)
{
	struct unpack u = unpack_begin(payload);

	*ret = (struct proto_loaded){0};
	ret->error = unpack_text(&u);
	ret->traceback = unpack_text(&u);
	ret->handlers = unpack_texts(&u, &ret->nhandlers);
	ret->libs = unpack_texts(&u, &ret->nlibs);
	ret->declared = unpack_text(&u);
	if (unpack_end(&u) == 0)
		return 0;
	proto_loaded_clear(ret);
	return -1;
}

void
proto_loaded_clear(struct proto_loaded *m)
{
	free(m->error);
	free(m->traceback);
	free_texts(m->handlers, m->nhandlers);
	free_texts(m->libs, m->nlibs);
	free(m->declared);
	*m = (struct proto_loaded){0};
}

void
proto_put_run(struct buf *out, uint64_t job, const struct proto_run *m)
{
	size_t at = ipc_begin(out, PROTO_RUN, job);
	size_t i;

	pack_u64(out, m->bundle);
	pack_text(out, m->handler);
	pack_text(out, m->delivery);
	pack_text(out, m->integration);
	pack_text(out, m->resource);
	pack_text(out, m->channel);
	pack_text(out, m->action);
	pack_text(out, m->request_id);
	pack_u64(out, m->received_unix_ms);
	pack_u64(out, m->attempt);
	pack_str(out, m->headers_json);
	pack_str(out, m->warnings_json);
	pack_str(out, m->body);
	pack_u64(out, m->nsteps);
	for (i = 0; i < m->nsteps; i++) {
		pack_str(out, m->steps[i].name);
		pack_str(out, m->steps[i].result_json);
	}
	ipc_end(out, at);
}

int
proto_get_run(struct str payload, struct proto_run *ret)
{
	struct unpack u = unpack_begin(payload);
	size_t i;

	*ret = (struct proto_run){0};
	ret->bundle = unpack_u64(&u);
	ret->handler = unpack_name(&u);
	ret->delivery = unpack_name(&u);
	ret->integration = unpack_name(&u);
	ret->resource = unpack_name(&u);
	ret->channel = unpack_text(&u);
	ret->action = unpack_text(&u);
	ret->request_id = unpack_text(&u);
	ret->received_unix_ms = unpack_u64(&u);
	ret->attempt = unpack_u64(&u);
	ret->headers_json = unpack_str(&u);
	ret->warnings_json = unpack_str(&u);
	ret->body = unpack_str(&u);
	ret->nsteps = unpack_count(&u);
	if (ret->nsteps > 0)
		ret->steps = mem_array(ret->nsteps, sizeof(*ret->steps));
	for (i = 0; i < ret->nsteps && !u.failed; i++) {
		ret->steps[i].name = unpack_str(&u);
		ret->steps[i].result_json = unpack_str(&u);
	}
	if (unpack_end(&u) == 0)
		return 0;
	proto_run_clear(ret);
	return -1;
}

void
proto_run_clear(struct proto_run *m)
{
	free(m->handler);
	free(m->delivery);
	free(m->integration);
	free(m->resource);
	free(m->channel);
	free(m->action);
	free(m->request_id);
	free(m->steps);
	*m = (struct proto_run){0};
}

static void
pack_outcome(struct buf *out, const struct proto_outcome *m)
{
	pack_u64(out, (uint64_t)m->result);
	pack_u64(out, m->after_ms);
	pack_text(out, m->error);
	pack_text(out, m->traceback);
	pack_u64(out, m->duration_ms);
	pack_u64(out, m->cpu_us);
	pack_u64(out, m->slice_us);
	pack_u64(out, m->memory_bytes);
	pack_u64(out, m->uncharged ? 1 : 0);
	pack_u64(out, m->late ? 1 : 0);
}

static void
unpack_outcome(struct unpack *u, struct proto_outcome *ret)
{
	uint64_t result = unpack_u64(u);

	*ret = (struct proto_outcome){0};
	if (result > PROTO_GONE)
		u->failed = 1;
	else
		ret->result = (enum proto_result)result;
	ret->after_ms = unpack_u64(u);
	ret->error = unpack_text(u);
	ret->traceback = unpack_text(u);
	ret->duration_ms = unpack_u64(u);
	ret->cpu_us = unpack_u64(u);
	ret->slice_us = unpack_u64(u);
	ret->memory_bytes = unpack_u64(u);
	ret->uncharged = unpack_flag(u);
	ret->late = unpack_flag(u);
}

void
proto_put_outcome(struct buf *out, uint64_t job, const struct proto_outcome *m)
{
	size_t at = ipc_begin(out, PROTO_OUTCOME, job);

	pack_outcome(out, m);
	ipc_end(out, at);
}

int
proto_get_outcome(struct str payload, struct proto_outcome *ret)
{
	struct unpack u = unpack_begin(payload);

	unpack_outcome(&u, ret);
	if (unpack_end(&u) == 0)
		return 0;
	proto_outcome_clear(ret);
	return -1;
}

void
proto_outcome_clear(struct proto_outcome *m)
{
	free(m->error);
	free(m->traceback);
	*m = (struct proto_outcome){0};
}

void
proto_put_invoke(struct buf *out, uint64_t id, const struct proto_invoke *m)
{
	size_t at = ipc_begin(out, PROTO_INVOKE, id);

	pack_u64(out, m->bundle);
	pack_u64(out, m->deadline_ms);
	pack_u64(out, m->spent_ms);
	pack_text(out, m->route);
	pack_str(out, m->request_json);
	ipc_end(out, at);
}

int
proto_get_invoke(struct str payload, struct proto_invoke *ret)
{
	struct unpack u = unpack_begin(payload);

	ret->bundle = unpack_u64(&u);
	ret->deadline_ms = unpack_u64(&u);
	ret->spent_ms = unpack_u64(&u);
	ret->route = unpack_name(&u);
	ret->request_json = unpack_str(&u);
	if (unpack_end(&u) == 0)
		return 0;
	proto_invoke_clear(ret);
	return -1;
}

void
proto_invoke_clear(struct proto_invoke *m)
{
	free(m->route);
	*m = (struct proto_invoke){0};
}

void
proto_put_invoked(struct buf *out, uint64_t id, const struct proto_invoked *m)
{
	size_t at = ipc_begin(out, PROTO_INVOKED, id);

	pack_outcome(out, &m->outcome);
	pack_text(out, m->answer);
	ipc_end(out, at);
}

int
proto_get_invoked(struct str payload, struct proto_invoked *ret)
{
	struct unpack u = unpack_begin(payload);

	unpack_outcome(&u, &ret->outcome);
	ret->answer = unpack_text(&u);
	if (unpack_end(&u) == 0)
		return 0;
	proto_invoked_clear(ret);
	return -1;
}

void
proto_invoked_clear(struct proto_invoked *m)
{
	proto_outcome_clear(&m->outcome);
	free(m->answer);
	*m = (struct proto_invoked){0};
}

void
proto_put_log(struct buf *out, uint64_t job, const struct proto_log *m)
{
	size_t at = ipc_begin(out, PROTO_LOG, job);
	size_t i;

	pack_u64(out, m->level);
	pack_u64(out, m->at_unix_ms);
	pack_text(out, m->script);
	pack_text(out, m->message);
	pack_u64(out, m->nfields);
	for (i = 0; i < m->nfields; i++) {
		pack_str(out, m->fields[i].key);
		pack_str(out, m->fields[i].json);
	}
	ipc_end(out, at);
}

int
proto_get_log(struct str payload, struct proto_log *ret)
{
	struct unpack u = unpack_begin(payload);
	size_t i;

	*ret = (struct proto_log){0};
	ret->level = unpack_u64(&u);
	ret->at_unix_ms = unpack_u64(&u);
	ret->script = unpack_name(&u);
	ret->message = unpack_name(&u);
	ret->nfields = unpack_count(&u);
	if (ret->nfields > 0)
		ret->fields = mem_array(ret->nfields, sizeof(*ret->fields));
	for (i = 0; i < ret->nfields && !u.failed; i++) {
		ret->fields[i].key = unpack_str(&u);
		ret->fields[i].json = unpack_str(&u);
	}
	if (unpack_end(&u) == 0)
		return 0;
	proto_log_clear(ret);
	return -1;
}

void
proto_log_clear(struct proto_log *m)
{
	free(m->script);
	free(m->message);
	free(m->fields);
	*m = (struct proto_log){0};
}

void
proto_put_plain(struct buf *out, enum proto_type type, uint64_t id)
{
	ipc_end(out, ipc_begin(out, (uint32_t)type, id));
}

void
proto_put_number(
    struct buf *out, enum proto_type type, uint64_t id, uint64_t number)
{
	size_t at = ipc_begin(out, (uint32_t)type, id);

	pack_u64(out, number);
	ipc_end(out, at);
}

void
proto_put_texts(struct buf *out, enum proto_type type, uint64_t id,
    const char *a, const char *b)
{
	size_t at = ipc_begin(out, (uint32_t)type, id);

	pack_text(out, a);
	pack_text(out, b);
	ipc_end(out, at);
}

int
proto_get_number(struct str payload, uint64_t *ret)
{
	struct unpack u = unpack_begin(payload);

	*ret = unpack_u64(&u);
	return unpack_end(&u);
}

int
proto_get_texts(struct str payload, char **ret_a, char **ret_b)
{
	struct unpack u = unpack_begin(payload);
	char *a = unpack_text(&u);
	char *b = unpack_text(&u);

	if (unpack_end(&u) == -1) {
		free(a);
		free(b);
		return -1;
	}
	*ret_a = a;
	*ret_b = b;
	return 0;
}

void
proto_put_secret(
    struct buf *out, uint64_t question, uint64_t bundle, const char *name)
{
	size_t at = ipc_begin(out, PROTO_SECRET, question);

	pack_u64(out, bundle);
	pack_text(out, name);
	ipc_end(out, at);
}

int
proto_get_secret(struct str payload, uint64_t *ret_bundle, char **ret_name)
{
	struct unpack u = unpack_begin(payload);
	uint64_t bundle = unpack_u64(&u);
	char *name = unpack_name(&u);

	if (unpack_end(&u) == -1) {
		free(name);
		return -1;
	}
	*ret_bundle = bundle;
	*ret_name = name;
	return 0;
}

void
proto_put_step(
    struct buf *out, uint64_t question, const struct proto_step_put *m)
{
	size_t at = ipc_begin(out, PROTO_STEP, question);

	pack_u64(out, m->job);
	pack_str(out, m->name);
	pack_str(out, m->result_json);
	ipc_end(out, at);
}

int
proto_get_step(struct str payload, struct proto_step_put *ret)
{
	struct unpack u = unpack_begin(payload);

	ret->job = unpack_u64(&u);
	ret->name = unpack_str(&u);
	ret->result_json = unpack_str(&u);
	return unpack_end(&u);
}

void
proto_put_kv(struct buf *out, uint64_t question, const struct proto_kv *m)
{
	size_t at = ipc_begin(out, PROTO_KV, question);

	pack_u64(out, m->bundle);
	pack_u64(out, (uint64_t)m->what);
	pack_str(out, m->key);
	pack_str(out, m->value_json);
	pack_u64(out, (uint64_t)m->by);
	pack_u64(out, m->ttl_ms);
	ipc_end(out, at);
}

int
proto_get_kv(struct str payload, struct proto_kv *ret)
{
	struct unpack u = unpack_begin(payload);
	uint64_t what;

	ret->bundle = unpack_u64(&u);
	what = unpack_u64(&u);
	if (what > PROTO_KV_LIST) {
		u.failed = 1;
		what = PROTO_KV_GET;
	}
	ret->what = (enum proto_kv_kind)what;
	ret->key = unpack_str(&u);
	ret->value_json = unpack_str(&u);
	ret->by = (int64_t)unpack_u64(&u);
	ret->ttl_ms = unpack_u64(&u);
	return unpack_end(&u);
}

void
proto_put_ask(struct buf *out, uint64_t question, const struct proto_ask *m)
{
	size_t at = ipc_begin(out, PROTO_ASK, question);

	pack_u64(out, m->bundle);
	pack_u64(out, m->job);
	pack_str(out, m->topic);
	pack_str(out, m->args_json);
	ipc_end(out, at);
}

int
proto_get_ask(struct str payload, struct proto_ask *ret)
{
	struct unpack u = unpack_begin(payload);

	ret->bundle = unpack_u64(&u);
	ret->job = unpack_u64(&u);
	ret->topic = unpack_str(&u);
	ret->args_json = unpack_str(&u);
	return unpack_end(&u);
}

void
proto_put_answer(struct buf *out, enum proto_type type, uint64_t question,
    const struct proto_answer *m)
{
	size_t at = ipc_begin(out, (uint32_t)type, question);

	pack_u64(out, m->found ? 1 : 0);
	pack_str(out, m->json);
	pack_u64(out, m->code);
	pack_str(out, m->error);
	ipc_end(out, at);
}

int
proto_get_answer(struct str payload, struct proto_answer *ret)
{
	struct unpack u = unpack_begin(payload);

	ret->found = unpack_flag(&u);
	ret->json = unpack_str(&u);
	ret->code = unpack_u64(&u);
	ret->error = unpack_str(&u);
	return unpack_end(&u);
}

void
proto_put_call(struct buf *out, uint64_t job, const struct proto_call *m)
{
	size_t at = ipc_begin(out, PROTO_CALL, job);

	pack_str(out, m->method);
	pack_str(out, m->url);
	pack_u64(out, m->status);
	pack_u64(out, m->duration_ms);
	pack_str(out, m->error);
	ipc_end(out, at);
}

int
proto_get_call(struct str payload, struct proto_call *ret)
{
	struct unpack u = unpack_begin(payload);

	ret->method = unpack_str(&u);
	ret->url = unpack_str(&u);
	ret->status = unpack_u64(&u);
	ret->duration_ms = unpack_u64(&u);
	ret->error = unpack_str(&u);
	return unpack_end(&u);
}
