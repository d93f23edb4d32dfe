#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "catalog/routes.h"
#include "dispatch/version.h"
#include "net/loop.h"
#include "json/jwrite.h"

#include "dispatch/dispatch_internal.h"

#define CONCURRENCY 32
#define LOAD_MS 5000
#define RETRY_ATTEMPTS 16
#define RETRY_BASE_MS 1000
#define RETRY_MAX_MS 3600000
#define SLOW_MS 100

/* A worker has at most so many jobs, and each can use up its CPU limit before
 * the last has begun.  What is not back long after that was lost in there. */
#define LEASE_MARGIN_MS 60000
#define LEASE_LOOKS 8 /* In the time of a lease. */

/* Workers without jobs end within that. */
#define STOP_GRACE_MS 2000

/* ---- what workers say --------------------------------------------------- */

static void
on_ready(void *cookie, struct worker *worker)
{
	struct dispatch *d = cookie;

	scripts_worker_ready(d->scripts, worker);
	dispatch_pump(d);
}

static int
answer_secret(
    struct dispatch *d, struct worker *worker, const struct ipc_frame *frame)
{
	const char *integration;
	struct buf value = BUF_INIT;
	struct err err = ERR_INIT;
	const struct bundle *b;
	uint64_t bundle;
	char *name = NULL;
	int rc = -1;

	if (proto_get_secret(frame->payload, &bundle, &name) == -1)
		return -1;
	b = scripts_bundle(d->scripts, worker, bundle);
	integration = b != NULL ? b->script->integration
				: scripts_trying(d->scripts, worker, bundle);
	if (integration != NULL && name != NULL && d->options.secret != NULL)
		rc = d->options.secret(
		    d->options.cookie, integration, name, &value, &err);
	if (rc == 0)
		proto_put_texts(worker_out(worker), PROTO_SECRET_IS, frame->id,
		    buf_text(&value), NULL);
	else
		proto_put_texts(worker_out(worker), PROTO_SECRET_IS, frame->id,
		    NULL, err.code == ERR_NONE ? NULL : err.msg);
	worker_flush(worker);
	if (value.data != NULL)
		explicit_bzero(value.data, value.cap);
	buf_free(&value);
	free(name);
	return 0;
}

static int
take_log(
    struct dispatch *d, struct worker *worker, const struct ipc_frame *frame)
{
	struct proto_log log;
	struct run *run = run_table_get(&d->runs, frame->id);
	struct run *record = dispatch_invoked_record(d, worker, frame->id);

	if (proto_get_log(frame->payload, &log) == -1)
		return -1;
	if (record != NULL)
		run_log(record, log.script, &log, d->options.redact,
		    d->options.cookie);
	else if (run != NULL && run->bundle->lane->worker == worker)
		run_log(run, run->job->script, &log, d->options.redact,
		    d->options.cookie);
	else if (!scripts_is_echo(d->scripts, worker, &log))
		run_log(NULL, log.script, &log, d->options.redact,
		    d->options.cookie);
	proto_log_clear(&log);
	return 0;
}

static int
on_frame(void *cookie, struct worker *worker, const struct ipc_frame *frame)
{
	struct dispatch *d = cookie;

	switch (frame->type) {
	case PROTO_LOADED:
		return scripts_worker_loaded(
		    d->scripts, worker, frame->id, frame->payload);
	case PROTO_OUTCOME:
		return dispatch_outcome(d, worker, frame->id, frame->payload);
	case PROTO_INVOKED:
		return dispatch_take_invoked(
		    d, worker, frame->id, frame->payload);
	case PROTO_LOG:
		return take_log(d, worker, frame);
	case PROTO_STEP:
		return dispatch_step(d, worker, frame);
	case PROTO_KV:
		return dispatch_kv(d, worker, frame);
	case PROTO_ASK:
		return dispatch_ask(d, worker, frame);
	case PROTO_CALL:
		return dispatch_call(d, worker, frame);
	case PROTO_TESTED:
	case PROTO_CATALOG:
		return scripts_worker_tested(d->scripts, worker, frame);
	case PROTO_SECRET:
		return answer_secret(d, worker, frame);
	default:
		return -1;
	}
}

static int
is_on_lane(const struct run *run, const void *cookie)
{
	return run->bundle->lane == cookie;
}

static void
on_died(void *cookie, struct worker *worker, const struct workers_death *death)
{
	struct dispatch *d = cookie;
	struct lane *lane = scripts_lane_of(d->scripts, worker);
	struct script *guilty = NULL;
	struct run *run, *culprit = NULL;
	struct workers_death overdue = {.how = death->how};

	/* Who ran is to blame; the others just have to run again. */
	if (death->by_itself) {
		d->stats.killed++;
		if (death->activity == PROTO_IN_RUN)
			culprit = run_table_get(&d->runs, death->id);
		if (culprit != NULL && !is_on_lane(culprit, lane))
			culprit = NULL;
	}
	if (culprit != NULL)
		guilty = culprit->feed->script;
	while ((run = run_table_find(&d->runs, is_on_lane, lane)) != NULL)
		dispatch_lost(d, run,
		    run == culprit ? death
		    : run->overdue ? &overdue
				   : NULL);
	if (death->by_itself && death->activity == PROTO_IN_RUN &&
	    guilty == NULL)
		guilty = dispatch_lose_invoked(d, lane, death->how, death->id);
	else
		(void)dispatch_lose_invoked(d, lane, death->how, 0);
	dispatch_forget_questions(d, lane);
	dispatch_forget_asks(d, lane);
	scripts_worker_died(d->scripts, worker, death);
	/* Who is alone there and has threads, or children, is to blame without
	 * having run. */
	if (guilty == NULL && death->by_itself && lane->kind == LANE_NORMAL &&
	    lane->owner != NULL && death->activity != PROTO_IN_LOAD)
		guilty = scripts_find(
		    d->scripts, lane->owner->integration, lane->owner->name);
	if (guilty != NULL)
		scripts_charge(d->scripts, guilty, death->how);
	dispatch_check_drained(d);
}

static void
on_stopped(void *cookie)
{
	struct dispatch *d = cookie;

	/* The last act: the callee may free us. */
	d->drained(d->drained_cookie);
}

/* ---- what the scripts tell ---------------------------------------------- */

static void
publish(struct dispatch *d)
{
	const struct script *script;
	struct routes_script *list;
	size_t n = 0;

	(void)event_del(d->publish);
	for (script = scripts_first(d->scripts); script != NULL;
	     script = script->next)
		n++;
	list = mem_array(n + 1, sizeof(*list));
	n = 0;
	for (script = scripts_first(d->scripts); script != NULL;
	     script = script->next) {
		if (script->removed || script->live == NULL)
			continue;
		list[n++] = (struct routes_script){script->integration,
		    script->name, (const char *const *)script->live->handlers,
		    script->live->nhandlers};
	}
	d->options.routes(
	    d->options.cookie, routes_create(d->options.catalog, list, n));
	free(list);
}

static void
on_publish(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	publish(arg);
}

static int
is_unsafe(void *cookie, const char *integration, const char *name)
{
	const struct dispatch *d = cookie;

	return d->options.unsafe != NULL &&
	       d->options.unsafe(d->options.cookie, integration, name);
}

static void
on_changed(void *cookie)
{
	struct dispatch *d = cookie;

	/* While all scripts come at once nobody asks yet, and once is enough.
	 * Later, whoever is told that a script is live may send something. */
	if (d->settled_once)
		publish(d);
	else
		event_active(d->publish, EV_TIMEOUT, 0);
}

static void
on_added(void *cookie, struct script *script)
{
	(void)feed_create(cookie, script);
}

static void
on_servable(void *cookie, struct script *script)
{
	struct dispatch *d = cookie;

	agenda_sync(script->feed->agenda);
	dispatch_invoke_waiting(d, script);
	feed_resume(script->feed);
}

static void
on_state(void *cookie, const struct script *script)
{
	struct dispatch *d = cookie;

	agenda_sync(script->feed->agenda);
	if (d->options.script != NULL)
		d->options.script(
		    d->options.cookie, script->integration, script->name);
}

static void
on_settled(void *cookie)
{
	struct dispatch *d = cookie;

	event_active(d->settle, EV_TIMEOUT, 0);
}

static void
on_settle(evutil_socket_t fd, short what, void *arg)
{
	struct dispatch *d = arg;
	void (*done)(void *cookie) = d->settled;

	(void)fd;
	(void)what;
	if (done == NULL || !scripts_are_settled(d->scripts))
		return;

	/* Whoever waits for it wants the new handlers to be in effect. */
	if (event_pending(d->publish, EV_TIMEOUT, NULL))
		publish(d);
	d->settled = NULL;
	d->settled_once = 1;
	done(d->settled_cookie);
}

/* ---- the whole ---------------------------------------------------------- */

static void
on_due(void *cookie, const char *integration, const char *name)
{
	struct dispatch *d = cookie;
	struct script *script = scripts_find(d->scripts, integration, name);

	if (script != NULL)
		feed_wake(script->feed);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct dispatch *d = arg;
	struct lane *lane;

	(void)fd;
	(void)what;
	log_warn("some jobs did not end in time: they will run again",
	    LOG_INT("jobs", d->runs.count));
	for (lane = scripts_lanes(d->scripts); lane != NULL; lane = lane->next)
		if (lane->nruns > 0)
			worker_kill(
			    lane->worker, "had jobs at the deadline", 0);
}

static int
is_overdue(const struct run *run, const void *cookie)
{
	const uint64_t *before_mono_ms = cookie;

	return !run->overdue && run->started_mono_ms < *before_mono_ms;
}

/* A job is with its worker for a time only: it has run by then, or the worker
 * has forgotten it. */
static void
on_lease(evutil_socket_t fd, short what, void *arg)
{
	struct dispatch *d = arg;
	uint64_t now = clock_mono_ms(), before;
	struct run *run;

	(void)fd;
	(void)what;
	before = now > d->options.lease_ms ? now - d->options.lease_ms : 0;
	while ((run = run_table_find(&d->runs, is_overdue, &before)) != NULL) {
		run->overdue = 1;
		worker_kill(run->bundle->lane->worker,
		    "kept a job longer than one may take", 0);
	}
}

static void
on_submit(evutil_socket_t fd, short what, void *arg)
{
	struct dispatch *d = arg;

	(void)fd;
	(void)what;
	store_submit_all(d->options.store, &d->batch);
}

static void
set_defaults(struct dispatch_options *o)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (o->workers == 0)
		o->workers = cores < 1 ? 1 : (unsigned int)cores;
	if (o->concurrency == 0)
		o->concurrency = CONCURRENCY;
	if (o->load_ms == 0)
		o->load_ms = LOAD_MS;
	if (o->retry_attempts == 0)
		o->retry_attempts = RETRY_ATTEMPTS;
	if (o->retry_base_ms == 0)
		o->retry_base_ms = RETRY_BASE_MS;
	if (o->retry_max_ms == 0)
		o->retry_max_ms = RETRY_MAX_MS;
	if (o->limits.slow_ms == 0)
		o->limits.slow_ms = SLOW_MS;
}

/* How many jobs a worker has at most, and when one of them is lost. */
static void
set_lane_runs(struct dispatch *d)
{
	struct dispatch_options *o = &d->options;

	d->lane_runs = o->concurrency > LANE_RUNS ? o->concurrency : LANE_RUNS;
	if (o->lease_ms == 0)
		o->lease_ms = o->limits.handler_ms +
			      d->lane_runs * o->limits.cpu_ms + LEASE_MARGIN_MS;
}

struct dispatch *
dispatch_create(const struct dispatch_options *options)
{
	struct dispatch *d = mem_zalloc(sizeof(*d));
	struct event_base *base = options->base;
	struct dispatch_options *o = &d->options;
	struct timeval look;

	*o = *options;
	set_defaults(o);
	set_lane_runs(d);
	d->retry = (struct decide_retry){
	    o->retry_attempts, o->retry_base_ms, o->retry_max_ms};
	d->ring_last = &d->ring;
	d->pump = event_new(base, -1, 0, dispatch_on_pump, d);
	d->publish = event_new(base, -1, 0, on_publish, d);
	d->settle = event_new(base, -1, 0, on_settle, d);
	d->submit = event_new(base, -1, 0, on_submit, d);
	d->again = event_new(base, -1, 0, dispatch_on_again, d);
	d->deadline = event_new(base, -1, 0, on_deadline, d);
	d->lease = event_new(base, -1, EV_PERSIST, on_lease, d);
	look = loop_timeval(o->lease_ms / LEASE_LOOKS);
	(void)event_add(d->lease, &look);
	d->workers = workers_create(&(struct workers_options){
	    .base = base,
	    .program = o->program,
	    .setup = o->limits,
	    .cookie = d,
	    .ready = on_ready,
	    .frame = on_frame,
	    .died = on_died,
	    .stopped = on_stopped,
	});
	d->scripts = scripts_create(
	    &(struct scripts_options){
		.base = base,
		.catalog = o->catalog,
		.data_dir = o->data_dir,
		.workers = o->workers,
		.load_ms = o->load_ms,
		.preflight = o->preflight,
		.cookie = d,
		.unsafe = is_unsafe,
		.changed = on_changed,
		.added = on_added,
		.servable = on_servable,
		.state = on_state,
		.settled = on_settled,
	    },
	    d->workers);
	store_watch(o->store, o->mailbox, on_due, d);
	return d;
}

void
dispatch_refuse(struct dispatch *d, uint16_t port)
{
	workers_refuse(d->workers, port);
}

void
dispatch_update(
    struct dispatch *d, const char *integration, struct source *source)
{
	if (d->draining)
		return;
	scripts_update(d->scripts, integration, source);
	publish(d);
	dispatch_tell_present(d);
}

void
dispatch_when_settled(
    struct dispatch *d, void (*done)(void *cookie), void *cookie)
{
	d->settled = done;
	d->settled_cookie = cookie;
	if (scripts_are_settled(d->scripts))
		event_active(d->settle, EV_TIMEOUT, 0);
}

static void
describe(const struct script *script, struct dispatch_script *ret)
{
	const struct version *v = script->live;
	const struct dispatch_schedule *schedules;
	size_t nschedules;

	schedules = agenda_list(script->feed->agenda, &nschedules);
	*ret = (struct dispatch_script){
	    .integration = script->integration,
	    .name = script->name,
	    .state = script_state_name(script),
	    .version = v == NULL ? NULL : v->id,
	    .loaded_unix_ms = v == NULL ? 0 : v->loaded_unix_ms,
	    .handlers = v == NULL ? NULL : v->handlers,
	    .nhandlers = v == NULL ? 0 : v->nhandlers,
	    .declared = v == NULL ? NULL : v->declared,
	    .schedules = schedules,
	    .nschedules = nschedules,
	    .error = script->error,
	    .running = script->feed->running,
	    .paused = script->paused,
	    .throttled = script->feed->failures >= DECIDE_THROTTLE_AFTER,
	    .slow = script->lane != NULL && script->lane->kind == LANE_SLOW,
	    .unsafe = script->unsafe,
	    .pid = script->bundle == NULL
		       ? -1
		       : (long)worker_pid(script->bundle->lane->worker),
	};
}

int
dispatch_script_at(
    const struct dispatch *d, size_t index, struct dispatch_script *ret_script)
{
	const struct script *script = scripts_first(d->scripts);

	while (script != NULL && index-- > 0)
		script = script->next;
	if (script == NULL)
		return -1;
	describe(script, ret_script);
	return 0;
}

int
dispatch_script_find(const struct dispatch *d, const char *integration,
    const char *name, struct dispatch_script *ret_script)
{
	const struct script *script =
	    scripts_find(d->scripts, integration, name);

	if (script == NULL)
		return -1;
	describe(script, ret_script);
	return 0;
}

void
dispatch_write_script(const struct dispatch_script *script, struct jwrite *w)
{
	size_t i;

	jwrite_member_text(w, "name", script->name);
	jwrite_member_text(w, "integration", script->integration);
	jwrite_member_text(w, "state", script->state);
	jwrite_member_text(w, "version", script->version);
	jwrite_key(w, "loaded_at");
	jwrite_time(w, script->loaded_unix_ms);
	jwrite_key(w, "handlers");
	jwrite_array(w);
	for (i = 0; i < script->nhandlers; i++)
		jwrite_text(w, script->handlers[i]);
	jwrite_array_end(w);
	jwrite_key(w, "schedules");
	jwrite_array(w);
	for (i = 0; i < script->nschedules; i++) {
		jwrite_object(w);
		jwrite_member_text(w, "name", script->schedules[i].name);
		jwrite_member_text(w, "rule", script->schedules[i].rule);
		jwrite_key(w, "next_at");
		jwrite_time(w, script->schedules[i].next_unix_ms);
		jwrite_object_end(w);
	}
	jwrite_array_end(w);
	jwrite_member_text(w, "error", script->error);
	jwrite_member_int(w, "running", script->running);
	jwrite_key(w, "paused");
	jwrite_bool(w, script->paused);
	jwrite_key(w, "throttled");
	jwrite_bool(w, script->throttled);
	jwrite_key(w, "slow");
	jwrite_bool(w, script->slow);
	jwrite_key(w, "unsafe_stdlib");
	jwrite_bool(w, script->unsafe);
	jwrite_key(w, "pid");
	if (script->pid > 0)
		jwrite_int(w, script->pid);
	else
		jwrite_null(w);
}

void
dispatch_stats(const struct dispatch *d, struct dispatch_stats *ret_stats)
{
	const struct lane *lane;

	*ret_stats = d->stats;
	ret_stats->running = (unsigned int)d->runs.count;
	for (lane = scripts_lanes(d->scripts); lane != NULL; lane = lane->next)
		ret_stats->workers +=
		    (unsigned int)worker_is_ready(lane->worker);
}

long
dispatch_worker_pid(const struct dispatch *d, const char *name)
{
	const struct lane *lane;

	for (lane = scripts_lanes(d->scripts); lane != NULL; lane = lane->next)
		if (strcmp(worker_name(lane->worker), name) == 0)
			return (long)worker_pid(lane->worker);
	return -1;
}

static int
set_paused(struct dispatch *d, const char *integration, const char *name,
    int paused, struct err *err)
{
	struct script *script = scripts_find(d->scripts, integration, name);

	if (script == NULL)
		return err_set(
		    err, ERR_NOT_FOUND, "there is no script %s", name);
	return scripts_pause(d->scripts, script, paused, err);
}

int
dispatch_pause(struct dispatch *d, const char *integration, const char *script,
    struct err *err)
{
	return set_paused(d, integration, script, 1, err);
}

int
dispatch_resume(struct dispatch *d, const char *integration, const char *script,
    struct err *err)
{
	return set_paused(d, integration, script, 0, err);
}

int
dispatch_submit(struct dispatch *d, struct store_op *op, struct err *err)
{
	if (store_collect(d->options.store, &d->batch, op, err) == -1)
		return -1;
	if (d->batch.first == &op->mail)
		event_active(d->submit, EV_TIMEOUT, 0);
	return 0;
}

void
dispatch_check_drained(struct dispatch *d)
{
	if (!d->draining || d->stopping || d->runs.count > 0 ||
	    d->nclaims > 0 || d->invoked != NULL || d->nfinishing > 0 ||
	    d->nplanning > 0 || d->questions != NULL || d->telling)
		return;
	d->stopping = 1;
	(void)event_del(d->deadline);
	workers_stop(d->workers, STOP_GRACE_MS);
}

void
dispatch_drain(struct dispatch *d, uint64_t deadline_ms,
    void (*done)(void *cookie), void *cookie)
{
	d->draining = 1;
	d->drained = done;
	d->drained_cookie = cookie;
	scripts_stop(d->scripts);
	(void)loop_arm(d->deadline, deadline_ms);
	if (d->runs.count > 0)
		log_info("waiting for jobs that run",
		    LOG_INT("jobs", d->runs.count),
		    LOG_INT("at_most_ms", deadline_ms));

	/* One last try; what is refused now runs again after the start. */
	event_active(d->again, EV_TIMEOUT, 0);
	dispatch_check_drained(d);
}

static int
any_run(const struct run *run, const void *cookie)
{
	(void)run;
	(void)cookie;
	return 1;
}

void
dispatch_free(struct dispatch *d)
{
	struct feed *feed;
	struct run *run;

	if (d == NULL)
		return;
	dispatch_free_invoked(d);
	workers_free(d->workers);
	scripts_free(d->scripts);
	while ((feed = d->feeds) != NULL) {
		d->feeds = feed->next;
		feed_free(feed);
	}
	while ((run = d->refused) != NULL) {
		d->refused = run->next;
		run_free(run);
	}
	/* A second signal does not wait for what runs. */
	while ((run = run_table_find(&d->runs, any_run, NULL)) != NULL) {
		run_table_remove(&d->runs, run);
		run_free(run);
	}
	run_table_free(&d->runs);
	free(d->present_names);
	event_free(d->pump);
	event_free(d->publish);
	event_free(d->settle);
	event_free(d->submit);
	event_free(d->again);
	event_free(d->deadline);
	event_free(d->lease);
	free(d);
}
