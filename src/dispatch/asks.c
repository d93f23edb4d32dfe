#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "json/jdoc.h"

#include "dispatch/dispatch_internal.h"

/* A question that the host is at. */
struct dispatch_asked {
	struct dispatch_ask ask; /* First. */
	struct dispatch_asked *next;
	struct dispatch *d;
	struct lane *lane; /* Who asked; NULL: it is gone. */
	uint64_t id;
	char *integration;
	char *script;
	char *topic;
	char *args;
};

static void
say(struct lane *lane, uint64_t id, struct str json, const struct err *err)
{
	struct proto_answer answer = {.found = json.data != NULL, .json = json};

	if (err != NULL) {
		answer.found = 0;
		answer.json = (struct str){NULL, 0};
		answer.code =
		    err->code == ERR_NONE ? ERR_INTERNAL : (uint64_t)err->code;
		answer.error = str_of(err->msg);
	}
	proto_put_answer(worker_out(lane->worker), PROTO_ASK_IS, id, &answer);
	worker_flush(lane->worker);
}

void
dispatch_answer(
    struct dispatch_ask *ask, struct str json, const struct err *err)
{
	struct dispatch_asked *a = ask->asked, **at;

	for (at = &a->d->asked; *at != a; at = &(*at)->next)
		;
	*at = a->next;
	if (a->lane != NULL) {
		a->lane->nasks--;
		say(a->lane, a->id, json, err);
	}
	free(a->integration);
	free(a->script);
	free(a->topic);
	free(a->args);
	free(a);
}

static int
is_object(struct str s)
{
	struct jdoc doc = {0};
	int yes = s.data != NULL &&
		  jdoc_parse(&doc, s.data, s.len, NULL, NULL) == 0 &&
		  jval_kind(jdoc_root(&doc)) == JDOC_OBJECT;

	jdoc_free(&doc);
	return yes;
}

int
dispatch_ask(
    struct dispatch *d, struct worker *worker, const struct ipc_frame *frame)
{
	struct lane *lane = scripts_lane_of(d->scripts, worker);
	struct err err = ERR_INIT;
	const struct bundle *bundle;
	struct dispatch_asked *a;
	const struct run *run;
	struct proto_ask m;

	if (proto_get_ask(frame->payload, &m) == -1 || m.topic.data == NULL ||
	    m.args_json.len > PROTO_ASK_MAX || !is_object(m.args_json))
		return -1;
	bundle = scripts_bundle(d->scripts, worker, m.bundle);
	if (bundle == NULL || lane->nasks >= PROTO_QUESTIONS_MAX)
		return -1;
	run = run_table_get(&d->runs, m.job);
	if (run != NULL && run->bundle != bundle)
		return -1;
	if (d->options.ask == NULL) {
		(void)err_set(
		    &err, ERR_UNAVAILABLE, "nothing is done for scripts here");
		say(lane, frame->id, (struct str){NULL, 0}, &err);
		return 0;
	}
	a = mem_zalloc(sizeof(*a));
	a->d = d;
	a->lane = lane;
	a->id = frame->id;
	a->integration = mem_strdup(bundle->script->integration);
	a->script = mem_strdup(bundle->script->name);
	a->topic = mem_strndup(m.topic.data, m.topic.len);
	a->args = mem_strndup(m.args_json.data, m.args_json.len);
	a->ask = (struct dispatch_ask){.integration = a->integration,
	    .script = a->script,
	    .job = run == NULL ? 0 : m.job,
	    .delivery = run == NULL ? 0 : run->job->delivery_id,
	    .topic = a->topic,
	    .args_json = {a->args, m.args_json.len},
	    .asked = a};
	a->next = d->asked;
	d->asked = a;
	lane->nasks++;
	d->options.ask(d->options.cookie, &a->ask);
	return 0;
}

void
dispatch_forget_asks(struct dispatch *d, struct lane *lane)
{
	struct dispatch_asked *a;

	for (a = d->asked; a != NULL; a = a->next) {
		if (a->lane == lane)
			a->lane = NULL;
	}
	lane->nasks = 0;
}
