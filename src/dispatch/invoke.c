#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "dispatch/version.h"
#include "net/loop.h"
#include "sentry/ui_schema.h"
#include "json/jdoc.h"
#include "json/jwrite.h"

#include "dispatch/dispatch_internal.h"

/* Invocations and jobs are told apart in a worker's status page. */
#define INVOKE_BIT (1ULL << 62)

/* A request to a UI component that a script is to answer. */
struct dispatch_invoked {
	struct dispatch_invoked *next;
	struct dispatch *d;
	struct script *script;
	struct bundle *bundle; /* Where it runs; NULL: it waits for one. */
	uint64_t id;
	uint64_t begun_mono_ms;
	char *route;
	char *request;
	uint64_t deadline_ms;
	struct event *deadline;
	int answered; /* But the worker is still at it. */
	struct run record;
	void (*done)(void *cookie, const struct dispatch_reply *reply);
	void *cookie;
};

static void
invoked_free(struct dispatch_invoked *v)
{
	struct dispatch *d = v->d;
	struct dispatch_invoked **at;

	for (at = &d->invoked; *at != v; at = &(*at)->next)
		;
	*at = v->next;
	if (v->bundle != NULL)
		scripts_release(d->scripts, v->bundle);
	if (v->deadline != NULL)
		event_free(v->deadline);
	buf_free(&v->record.log);
	buf_free(&v->record.calls);
	proto_outcome_clear(&v->record.outcome);
	free(v->route);
	free(v->request);
	free(v);
}

/* Answer, once; what the script logged and called goes along. */
static void
answer(struct dispatch_invoked *v, struct dispatch_reply *reply)
{
	struct dispatch *d = v->d;

	if (v->answered)
		return;
	v->answered = 1;
	if (v->deadline != NULL)
		(void)event_del(v->deadline);
	run_record(&v->record, "done", d->options.redact, d->options.cookie);
	reply->script = v->script == NULL ? NULL : v->script->name;
	reply->duration_ms = clock_mono_ms() - v->begun_mono_ms;
	reply->error = v->record.outcome.error;
	reply->traceback = v->record.outcome.traceback;
	reply->log_json = v->record.record.log_json;
	reply->calls_json = v->record.record.calls_json;
	v->done(v->cookie, reply);
}

/* The answer is ours: `{"error","message"}`, which names no file. */
static void
answer_error(struct dispatch_invoked *v, int status, const char *code,
    const char *message)
{
	struct dispatch_reply reply = {.status = status};
	struct buf body = BUF_INIT;
	struct jwrite w = jwrite_begin(&body, 0);

	jwrite_object(&w);
	jwrite_member_text(&w, "error", code);
	jwrite_member_text(&w, "message", message);
	jwrite_object_end(&w);
	reply.body = (struct str){body.data, body.len};
	answer(v, &reply);
	buf_free(&body);
}

static void
log_trouble(const struct dispatch_invoked *v, const char *message)
{
	log_error(message, LOG_STR("script", v->script->name),
	    LOG_STR("integration", v->script->integration),
	    LOG_STR("component", v->route),
	    LOG_INT("duration_ms", clock_mono_ms() - v->begun_mono_ms),
	    LOG_OPT("error", v->record.outcome.error),
	    LOG_OPT("traceback", v->record.outcome.traceback));
}

static void
answer_failed(struct dispatch_invoked *v)
{
	log_trouble(v, "component failed");
	answer_error(v, 502, "script_failed",
	    "The integration's script failed; the log of its host says why");
}

static void
answer_late(struct dispatch_invoked *v)
{
	log_trouble(v, "component timed out");
	answer_error(v, 504, "timeout",
	    "The integration did not answer in time: try again");
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct dispatch_invoked *v = arg;
	struct dispatch *d = v->d;

	(void)fd;
	(void)what;
	v->record.outcome.error =
	    mem_strdup(v->bundle == NULL ? "the script was not ready"
					 : "the script did not answer "
					   "in time");
	answer_late(v);
	/* What runs is kept until the worker has ended it. */
	if (v->bundle == NULL)
		invoked_free(v);
	dispatch_check_drained(d);
}

/* Whether a script can be asked just now; a paused one, too: what is held are
 * its jobs. */
static int
can_answer(const struct script *script)
{
	return script->bundle != NULL && !script->parked && !script->removed &&
	       worker_is_ready(script->bundle->lane->worker);
}

static void
hand_over(struct dispatch_invoked *v)
{
	struct bundle *b = v->script->bundle;
	const struct proto_invoke m = {
	    .bundle = b->id,
	    .deadline_ms = v->deadline_ms,
	    .spent_ms = clock_mono_ms() - v->begun_mono_ms,
	    .route = v->route,
	    .request_json = str_of(v->request),
	};

	v->bundle = b;
	scripts_hold(b);
	proto_put_invoke(worker_out(b->lane->worker), v->id, &m);
	worker_flush(b->lane->worker);
}

/* The script of an integration that answers ${route}, or NULL. */
static struct script *
find_script(
    const struct dispatch *d, const char *integration, const char *route)
{
	struct script *script;

	for (script = scripts_first(d->scripts); script != NULL;
	     script = script->next)
		if (!script->removed && script->live != NULL &&
		    strcmp(script->integration, integration) == 0 &&
		    ui_serves(script->live->declared, str_of(route)))
			return script;
	return NULL;
}

void
dispatch_invoke(struct dispatch *d, const struct dispatch_request *request)
{
	static uint64_t ids;
	struct dispatch_invoked *v = mem_zalloc(sizeof(*v));

	v->d = d;
	v->next = d->invoked;
	d->invoked = v;
	v->id = INVOKE_BIT | ++ids;
	v->begun_mono_ms = clock_mono_ms();
	v->route = mem_strdup(request->route);
	v->request =
	    mem_strndup(request->request_json.data, request->request_json.len);
	v->deadline_ms = request->deadline_ms;
	v->done = request->done;
	v->cookie = request->cookie;
	v->script = find_script(d, request->integration, request->route);
	if (v->script == NULL || d->draining) {
		if (v->script == NULL)
			answer_error(v, 404, "not_found",
			    "this integration has no such component");
		else
			answer_error(
			    v, 503, "stopping", "The integration is stopping");
		invoked_free(v);
		return;
	}
	v->deadline = event_new(d->options.base, -1, 0, on_deadline, v);
	(void)loop_arm(v->deadline, v->deadline_ms);
	if (can_answer(v->script))
		hand_over(v);
}

void
dispatch_invoke_waiting(struct dispatch *d, const struct script *script)
{
	struct dispatch_invoked *v;

	for (v = d->invoked; v != NULL; v = v->next)
		if (v->script == script && v->bundle == NULL &&
		    can_answer(script))
			hand_over(v);
}

/* The script's answer, as ui.lua makes it.  Returns -1 if it is none. */
static int
pass_on(struct dispatch_invoked *v, const char *json)
{
	struct dispatch_reply reply = {0};
	struct jdoc doc = {0};
	struct buf body = BUF_INIT, location = BUF_INIT;
	struct jwrite w = jwrite_begin(&body, 0);
	const struct jval *root, *status, *content;
	struct str where;
	int rc = -1;

	if (json == NULL ||
	    jdoc_parse(&doc, json, strlen(json), NULL, NULL) == -1)
		goto out;
	root = jdoc_root(&doc);
	status = jdoc_gets(root, "status");
	content = jdoc_gets(root, "body");
	if (status == NULL || jval_kind(status) != JDOC_INT ||
	    status->v.i < 200 || status->v.i > 599 || content == NULL)
		goto out;
	jwrite_jval(&w, content);
	reply.status = (int)status->v.i;
	reply.body = (struct str){body.data, body.len};
	where = jdoc_get_str(root, "location");
	if (where.len > 0) {
		buf_put(&location, where.data, where.len);
		reply.location = buf_text(&location);
	}
	log_debug("component answered", LOG_STR("script", v->script->name),
	    LOG_STR("component", v->route), LOG_INT("status", reply.status),
	    LOG_INT("duration_ms", clock_mono_ms() - v->begun_mono_ms));
	answer(v, &reply);
	rc = 0;

out:
	jdoc_free(&doc);
	buf_free(&body);
	buf_free(&location);
	return rc;
}

/* The one of that number that runs in ${worker}, or NULL. */
static struct dispatch_invoked *
find(const struct dispatch *d, const struct worker *worker, uint64_t id)
{
	struct dispatch_invoked *v;

	for (v = d->invoked; v != NULL; v = v->next)
		if (v->id == id && v->bundle != NULL &&
		    v->bundle->lane->worker == worker)
			return v;
	return NULL;
}

/* The version that was asked had gone before it began: ask the one that serves
 * now, or the next. */
static void
ask_again(struct dispatch_invoked *v)
{
	struct bundle *gone = v->bundle;

	v->bundle = NULL;
	if (v->script->bundle != gone && can_answer(v->script))
		hand_over(v);
	scripts_release(v->d->scripts, gone);
}

int
dispatch_take_invoked(
    struct dispatch *d, struct worker *worker, uint64_t id, struct str payload)
{
	struct dispatch_invoked *v = find(d, worker, id);
	struct proto_invoked m;

	if (proto_get_invoked(payload, &m) == -1)
		return -1;
	if (v == NULL) {
		proto_invoked_clear(&m);
		return -1;
	}
	if (m.outcome.result == PROTO_GONE && !v->answered && !d->draining) {
		ask_again(v);
		proto_invoked_clear(&m);
		return 0;
	}
	if (m.outcome.slice_us > d->options.limits.slow_ms * 1000)
		scripts_set_slow(d->scripts, v->script);
	if (!v->answered) {
		proto_outcome_clear(&v->record.outcome);
		v->record.outcome = m.outcome;
		m.outcome = (struct proto_outcome){0};
		if (v->record.outcome.result == PROTO_GONE)
			answer_error(
			    v, 503, "stopping", "The integration is stopping");
		else if (v->record.outcome.late)
			answer_late(v);
		else if (v->record.outcome.result != PROTO_DONE ||
			 pass_on(v, m.answer) == -1)
			answer_failed(v);
	}
	proto_invoked_clear(&m);
	invoked_free(v);
	dispatch_check_drained(d);
	return 0;
}

struct run *
dispatch_invoked_record(
    const struct dispatch *d, const struct worker *worker, uint64_t id)
{
	struct dispatch_invoked *v = find(d, worker, id);

	return v == NULL || v->answered ? NULL : &v->record;
}

struct script *
dispatch_lose_invoked(
    struct dispatch *d, const struct lane *lane, const char *how, uint64_t id)
{
	struct dispatch_invoked *v, *next;
	struct script *guilty = NULL;

	for (v = d->invoked; v != NULL; v = next) {
		next = v->next;
		if (v->bundle == NULL || v->bundle->lane != lane)
			continue;
		if (v->id == id)
			guilty = v->script;
		if (!v->answered) {
			free(v->record.outcome.error);
			v->record.outcome.error =
			    mem_printf("its worker %s", how);
			answer_failed(v);
		}
		invoked_free(v);
	}
	return guilty;
}

void
dispatch_free_invoked(struct dispatch *d)
{
	struct dispatch_invoked *v;

	while ((v = d->invoked) != NULL) {
		answer_error(v, 503, "stopping", "The integration is stopping");
		invoked_free(v);
		/* Convince static analysers that it is off the list. */
		assert(v != d->invoked);
	}
}
