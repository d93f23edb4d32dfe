#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "json/jdoc.h"

#include "dispatch/dispatch_internal.h"

/* What a worker waits for while the store has it. */
struct question {
	struct question *next;
	struct dispatch *d;
	struct lane *lane; /* Who asked; NULL: it is gone. */
	uint64_t id;
	enum proto_type answer;
	struct buf text;   /* What the operation points to. */
	char *integration; /* The same. */
	union {
		struct store_op op;
		struct store_step_put step;
		struct store_kv kv;
	};
};

static void
question_free(struct question *q)
{
	buf_free(&q->text);
	free(q->integration);
	free(q);
}

static void
say(struct lane *lane, enum proto_type type, uint64_t id,
    const struct proto_answer *answer)
{
	proto_put_answer(worker_out(lane->worker), type, id, answer);
	worker_flush(lane->worker);
}

/* There is no answer but an error. */
static void
say_error(
    struct lane *lane, enum proto_type type, uint64_t id, const struct err *err)
{
	const struct proto_answer answer = {
	    .code = err->code == ERR_NONE ? ERR_INTERNAL : (uint64_t)err->code,
	    .error = str_of(err->msg),
	};

	say(lane, type, id, &answer);
}

static void
on_answered(struct store_op *op)
{
	struct question *q = op->cookie, **at;
	struct dispatch *d = q->d;
	struct proto_answer answer = {0};

	for (at = &d->questions; *at != q; at = &(*at)->next)
		;
	*at = q->next;
	if (q->lane != NULL) {
		q->lane->nquestions--;
		if (op->kind == STORE_OP_KV) {
			answer.found = q->kv.ret_found;
			answer.json =
			    (struct str){q->kv.ret_json, q->kv.ret_jsonlen};
		}
		if (op->rc == -1)
			say_error(q->lane, q->answer, q->id, &op->err);
		else
			say(q->lane, q->answer, q->id, &answer);
	}
	if (op->kind == STORE_OP_KV)
		free(q->kv.ret_json);
	question_free(q);
	dispatch_check_drained(d);
}

/* Hand it to the store. */
static void
submit(struct question *q, enum store_kind kind)
{
	struct dispatch *d = q->d;
	struct err err = ERR_INIT;

	q->op.kind = kind;
	q->op.reply_to = d->options.mailbox;
	q->op.done = on_answered;
	q->op.cookie = q;
	if (dispatch_submit(d, &q->op, &err) == -1) {
		say_error(q->lane, q->answer, q->id, &err);
		question_free(q);
		return;
	}
	q->lane->nquestions++;
	q->next = d->questions;
	d->questions = q;
}

static struct question *
question_create(
    struct dispatch *d, struct lane *lane, uint64_t id, enum proto_type answer)
{
	struct question *q = mem_zalloc(sizeof(*q));

	q->d = d;
	q->lane = lane;
	q->id = id;
	q->answer = answer;
	return q;
}

/* The frame's texts are gone when it has been handled.  Returns where ${a} and
 * ${b} are in the question's own copy. */
static void
keep(struct question *q, struct str *a, struct str *b)
{
	buf_put(&q->text, a->data, a->len);
	buf_put(&q->text, b->data, b->len);
	a->data = q->text.data;
	b->data = q->text.data == NULL ? NULL : q->text.data + a->len;
}

/* What goes into the store as JSON has to be some. */
static int
is_json(struct str s)
{
	struct jdoc doc = {0};
	int rc = -1;

	if (s.data != NULL)
		rc = jdoc_parse(&doc, s.data, s.len, NULL, NULL);
	jdoc_free(&doc);
	return rc == 0;
}

int
dispatch_step(
    struct dispatch *d, struct worker *worker, const struct ipc_frame *frame)
{
	struct lane *lane = scripts_lane_of(d->scripts, worker);
	struct proto_step_put m;
	struct err err = ERR_INIT;
	const struct run *run;
	struct question *q;

	if (proto_get_step(frame->payload, &m) == -1 || !is_json(m.result_json))
		return -1;
	if (lane->nquestions >= PROTO_QUESTIONS_MAX)
		return -1;
	run = run_table_get(&d->runs, m.job);
	if (run == NULL || run->bundle->lane != lane) {
		(void)err_set(&err, ERR_NOT_FOUND, "the run is over");
		say_error(lane, PROTO_STEP_IS, frame->id, &err);
		return 0;
	}
	q = question_create(d, lane, frame->id, PROTO_STEP_IS);
	keep(q, &m.name, &m.result_json);
	q->step.job_id = m.job;
	q->step.name = m.name;
	q->step.result_json = m.result_json;
	submit(q, STORE_OP_STEP);
	return 0;
}

int
dispatch_kv(
    struct dispatch *d, struct worker *worker, const struct ipc_frame *frame)
{
	static const enum store_kv_kind kinds[] = {
	    [PROTO_KV_GET] = STORE_KV_GET,
	    [PROTO_KV_SET] = STORE_KV_SET,
	    [PROTO_KV_ADD] = STORE_KV_ADD,
	    [PROTO_KV_INCR] = STORE_KV_INCR,
	    [PROTO_KV_DELETE] = STORE_KV_DELETE,
	    [PROTO_KV_LIST] = STORE_KV_LIST,
	};
	struct lane *lane = scripts_lane_of(d->scripts, worker);
	const struct bundle *bundle;
	struct proto_kv m;
	struct question *q;

	if (proto_get_kv(frame->payload, &m) == -1)
		return -1;
	if ((m.what == PROTO_KV_SET || m.what == PROTO_KV_ADD) &&
	    !is_json(m.value_json))
		return -1;
	bundle = scripts_bundle(d->scripts, worker, m.bundle);
	if (bundle == NULL || lane->nquestions >= PROTO_QUESTIONS_MAX)
		return -1;
	q = question_create(d, lane, frame->id, PROTO_KV_IS);
	keep(q, &m.key, &m.value_json);
	q->integration = mem_strdup(bundle->script->integration);
	q->kv.what = kinds[m.what];
	q->kv.integration = q->integration;
	q->kv.key = m.key;
	q->kv.value_json = m.value_json;
	q->kv.by = m.by;
	q->kv.ttl_ms = m.ttl_ms;
	submit(q, STORE_OP_KV);
	return 0;
}

int
dispatch_call(
    struct dispatch *d, struct worker *worker, const struct ipc_frame *frame)
{
	struct run *run = run_table_get(&d->runs, frame->id);
	struct run *record = dispatch_invoked_record(d, worker, frame->id);
	struct proto_call call;

	if (proto_get_call(frame->payload, &call) == -1)
		return -1;
	/* What serves no delivery is in no record. */
	if (record != NULL)
		run_call(record, &call, d->options.redact, d->options.cookie);
	else if (run != NULL && run->bundle->lane->worker == worker)
		run_call(run, &call, d->options.redact, d->options.cookie);
	return 0;
}

void
dispatch_forget_questions(struct dispatch *d, struct lane *lane)
{
	struct question *q;

	for (q = d->questions; q != NULL; q = q->next) {
		if (q->lane == lane)
			q->lane = NULL;
	}
	lane->nquestions = 0;
}
