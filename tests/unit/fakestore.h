#ifndef UNIT_FAKESTORE_H_
#define UNIT_FAKESTORE_H_

/*
 * A host that answers what scripts ask of the store, out of its memory, for the
 * tests of step and kv.
 */

#include "base/err.h"
#include "base/ipc.h"
#include "script/question.h"

#include "unit/script_fixture.h"

#define FAKE_KEPT 1001

struct fake_kept {
	char *key; /* NULL: free. */
	char *json;
	uint64_t ttl_ms;
};

static struct questions asked;
static struct buf asked_out;
static struct fake_kept fake_steps[FAKE_KEPT];
static struct fake_kept fake_kv[FAKE_KEPT];
static unsigned int fake_nsteps; /* Questions so far. */
static unsigned int fake_nkv;
static uint64_t fake_job;                /* Of the last step. */
static struct proto_answer fake_refusal; /* Given instead if it has a code. */
static struct proto_kv fake_last;

static void
fake_setup(void)
{
	fix_setup();
	questions_init(&asked, &asked_out, NULL, NULL);
	env.host.questions = &asked;
}

static void
fake_teardown(void)
{
	size_t i;

	fix_teardown();
	cr_expect(TAILQ_EMPTY(&asked.sent));
	cr_expect(TAILQ_EMPTY(&asked.held));
	buf_free(&asked_out);
	for (i = 0; i < FAKE_KEPT; i++) {
		free(fake_steps[i].key);
		free(fake_steps[i].json);
		free(fake_kv[i].key);
		free(fake_kv[i].json);
	}
}

/* Where ${key} is, or where it may go. */
static struct fake_kept *
fake_find(struct fake_kept *list, struct str key)
{
	struct fake_kept *at, *room = NULL;

	for (at = list; at < list + FAKE_KEPT; at++) {
		if (at->key == NULL)
			room = room == NULL ? at : room;
		else if (str_eq(str_of(at->key), key))
			return at;
	}
	cr_assert_not_null(room);
	return room;
}

static void
fake_put(struct fake_kept *at, struct str key, struct str json, uint64_t ttl)
{
	free(at->key);
	free(at->json);
	at->key = mem_strndup(key.data, key.len);
	at->json = mem_strndup(json.data, json.len);
	at->ttl_ms = ttl;
}

static void
fake_take(struct fake_kept *at)
{
	free(at->key);
	free(at->json);
	*at = (struct fake_kept){NULL, NULL, 0};
}

static void
fake_do_kv(const struct proto_kv *m, struct proto_answer *ret)
{
	struct fake_kept *at = fake_find(fake_kv, m->key);
	char text[32];

	fake_last = *m;
	ret->found = at->key != NULL;
	switch (m->what) {
	case PROTO_KV_GET:
		ret->json = str_of(at->json);
		break;
	case PROTO_KV_ADD:
		if (at->key != NULL)
			break;
		fake_put(at, m->key, m->value_json, m->ttl_ms);
		break;
	case PROTO_KV_SET:
		fake_put(at, m->key, m->value_json, m->ttl_ms);
		break;
	case PROTO_KV_INCR:
		(void)snprintf(text, sizeof(text), "%lld",
		    (at->key == NULL ? 0 : strtoll(at->json, NULL, 10)) +
			m->by);
		fake_put(at, m->key, str_of(text), 0);
		ret->json = str_of(at->json);
		break;
	case PROTO_KV_DELETE:
		fake_take(at);
		break;
	case PROTO_KV_LIST:
		ret->json = STR("[\"a/1\",\"a/2\"]");
		break;
	}
}

/* Answer what has been asked so far.  Returns how many that were. */
static unsigned int
fake_serve(void)
{
	struct buf batch = asked_out, out = BUF_INIT;
	struct proto_answer answer;
	struct proto_step_put step;
	struct proto_kv kv;
	struct ipc_frame f;
	unsigned int n = 0;
	size_t at = 0;

	/* Answers make scripts ask more. */
	asked_out = (struct buf)BUF_INIT;
	for (; at < batch.len; n++) {
		at +=
		    (size_t)ipc_next(batch.data + at, batch.len - at, &f, NULL);
		answer = fake_refusal;
		if (f.type == PROTO_STEP) {
			cr_assert_eq(proto_get_step(f.payload, &step), 0);
			fake_nsteps++;
			fake_job = step.job;
			if (answer.code == ERR_NONE)
				fake_put(fake_find(fake_steps, step.name),
				    step.name, step.result_json, 0);
		} else {
			cr_assert_eq(f.type, PROTO_KV);
			cr_assert_eq(proto_get_kv(f.payload, &kv), 0);
			fake_nkv++;
			if (answer.code == ERR_NONE)
				fake_do_kv(&kv, &answer);
		}
		/* Over the wire and back. */
		proto_put_answer(&out, PROTO_KV_IS, f.id, &answer);
		cr_assert_gt(ipc_next(out.data, out.len, &f, NULL), 0);
		cr_assert_eq(questions_answer(&asked, f.id, f.payload), 0);
		buf_reset(&out);
	}
	buf_free(&out);
	buf_free(&batch);
	return n;
}

static inline void
fake_wait(uint64_t id)
{
	while (!ended[id]) {
		if (fake_serve() == 0 && !ended[id])
			cr_assert_eq(event_base_loop(env.base, EVLOOP_ONCE), 0);
	}
}

/* Run on_x(event) of ${source} as job ${id}: as an attempt that finds the steps
 * which those before it recorded. */
static inline struct proto_outcome *
fake_attempt(uint64_t id, uint64_t attempt, const char *request_id)
{
	char handler[] = "on_x", delivery[] = "42", integration[] = "default";
	char resource[] = "issue";
	struct proto_step steps[FAKE_KEPT];
	struct proto_run run = {.bundle = 7,
	    .handler = handler,
	    .delivery = delivery,
	    .integration = integration,
	    .resource = resource,
	    .request_id = (char *)(uintptr_t)request_id,
	    .received_unix_ms = 1700000000123,
	    .attempt = attempt,
	    .headers_json = STR("{}"),
	    .body = STR("{}"),
	    .steps = steps};
	size_t i;

	for (i = 0; i < FAKE_KEPT; i++) {
		if (fake_steps[i].key == NULL)
			continue;
		steps[run.nsteps++] = (struct proto_step){
		    str_of(fake_steps[i].key), str_of(fake_steps[i].json)};
	}
	bundle_run(bundle, id, &run);
	fake_wait(id);
	return &outcomes[id];
}

/* The same, and it ends well. */
static inline void
fake_done(uint64_t id, uint64_t attempt, const char *request_id)
{
	struct proto_outcome *o = fake_attempt(id, attempt, request_id);

	cr_assert_eq(
	    o->result, PROTO_DONE, "%s", o->error == NULL ? "" : o->error);
}

/* The body of on_x runs well, as job 1. */
static inline void
fake_good(const char *body)
{
	char *source = mem_printf("function on_x(event) %s end", body);
	struct proto_outcome *o;

	fix_load(source);
	free(source);
	proto_outcome_clear(&outcomes[1]);
	ended[1] = 0;
	o = fake_attempt(1, 1, "r-1");
	cr_assert_eq(o->result, PROTO_DONE, "%s\n%s\n%s", body, o->error,
	    o->traceback == NULL ? "" : o->traceback);
}

/* The body of on_x ends in an error that has ${part} in it. */
static inline void
fake_bad(const char *body, const char *part)
{
	char *source = mem_printf("function on_x(event) %s end", body);
	struct proto_outcome *o;

	fix_load(source);
	free(source);
	proto_outcome_clear(&outcomes[1]);
	ended[1] = 0;
	o = fake_attempt(1, 1, "r-1");
	cr_assert_eq(o->result, PROTO_ERROR, "%s", body);
	cr_assert_not_null(strstr(o->error, part), "%s\n%s", body, o->error);
}

#endif /* !UNIT_FAKESTORE_H_ */
