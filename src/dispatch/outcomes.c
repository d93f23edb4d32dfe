#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "catalog/catalog.h"
#include "crypto/random.h"
#include "dispatch/version.h"
#include "net/loop.h"
#include "schedule/plan.h"

#include "dispatch/dispatch_internal.h"

/* When the store refused something. */
#define STORE_AGAIN_MS 1000

static void on_finished(struct store_op *op);

static int
is_scheduled(const struct run *run)
{
	return strncmp(run->handler, PLAN_HANDLER, strlen(PLAN_HANDLER)) == 0;
}

void
dispatch_store_trouble(struct dispatch *d, const char *why)
{
	if (!d->store_trouble)
		log_error("the store refuses: no jobs are taken until it works",
		    LOG_STR("error", why));
	d->store_trouble = 1;
	(void)loop_arm(d->again, STORE_AGAIN_MS);
}

/* ---- the end of a run --------------------------------------------------- */

static void
submit_finish(struct dispatch *d, struct run *run)
{
	struct err err = ERR_INIT;

	d->nfinishing++;
	if (dispatch_submit(d, &run->finish.op, &err) == -1) {
		d->nfinishing--;
		dispatch_store_trouble(d, err.msg);
		run->next = d->refused;
		d->refused = run;
	}
}

/* Have the store write down that the run is over. */
static void
finish(struct run *run, enum store_state state, uint64_t next_unix_ms)
{
	struct dispatch *d = run->feed->d;

	run->finish = (struct store_finish){
	    .op = {.kind = STORE_OP_FINISH,
		.reply_to = d->options.mailbox,
		.done = on_finished,
		.cookie = run},
	    .job_id = run->job->id,
	    .state = state,
	    .next_unix_ms = next_unix_ms,
	    .run = state == STORE_PENDING ? NULL : &run->record,
	};
	submit_finish(d, run);
}

static void
on_finished(struct store_op *op)
{
	struct run *run = op->cookie;
	struct feed *feed = run->feed;
	struct dispatch *d = feed->d;

	d->nfinishing--;
	if (op->rc == -1 && op->err.code == ERR_UNAVAILABLE && !d->draining) {
		dispatch_store_trouble(d, op->err.msg);
		run->next = d->refused;
		d->refused = run;
		return;
	}
	if (op->rc == -1 && op->err.code != ERR_UNAVAILABLE &&
	    op->err.code != ERR_NOT_FOUND && run->finish.run != NULL) {
		/* It has run, whatever is wrong with what is told of it. */
		log_error("cannot keep the record of a run",
		    LOG_STR("script", feed->script->name),
		    LOG_STR("delivery", run->delivery),
		    LOG_STR("error", op->err.msg));
		run->finish.run = NULL;
		submit_finish(d, run);
		return;
	}
	if (op->rc == -1) {
		/* It was dropped by hand meanwhile; or this is the end, and it
		 * will run again after the next start. */
		log_warn("cannot write down what became of a job",
		    LOG_STR("script", feed->script->name),
		    LOG_STR("delivery", run->delivery),
		    LOG_STR("error", op->err.msg));
	} else {
		if (d->options.job != NULL)
			d->options.job(d->options.cookie, run->job,
			    run->finish.state, run->finish.next_unix_ms,
			    run->record.error);
		if (run->finish.state == STORE_PENDING)
			feed_wake(feed);
		else if (run->finish.state == STORE_RETRYING)
			feed_wake_at(feed, run->finish.next_unix_ms);
		if (is_scheduled(run) && run->finish.state != STORE_PENDING)
			agenda_ended(feed->agenda);
	}
	run_free(run);
	dispatch_check_drained(d);
}

void
dispatch_on_again(evutil_socket_t fd, short what, void *arg)
{
	struct dispatch *d = arg;
	struct run *run, *refused = d->refused;
	struct feed *feed;

	(void)fd;
	(void)what;
	d->store_trouble = 0;
	d->refused = NULL;
	while ((run = refused) != NULL) {
		refused = run->next;
		submit_finish(d, run);
	}
	if (d->tell_again)
		dispatch_tell_present(d);
	for (feed = d->feeds; feed != NULL; feed = feed->next) {
		agenda_sync(feed->agenda);
		agenda_look(feed->agenda);
	}
	dispatch_pump(d);
}

/* Take a run off its worker. */
static void
detach(struct run *run)
{
	struct feed *feed = run->feed;
	struct dispatch *d = feed->d;

	run_table_remove(&d->runs, run);
	run->bundle->lane->nruns--;
	scripts_release(d->scripts, run->bundle);
	run->bundle = NULL;
	feed->running--;
}

/* Put a run's job back, as if it had never been taken. */
static void
give_back(struct run *run)
{
	run->feed->d->stats.returned++;
	finish(run, STORE_PENDING, 0);
}

/* Tell of a run that failed. */
static void
log_failure(const struct run *run, enum store_state state, uint64_t wait_ms)
{
	const struct store_job *job = run->job;
	const struct log_field fields[] = {
	    LOG_STR("script", job->script),
	    LOG_STR("integration", job->integration),
	    LOG_STR("delivery", run->delivery),
	    LOG_STR("handler", run->handler),
	    LOG_STR("resource", job->resource),
	    LOG_OPT("action", job->action),
	    LOG_INT("attempt", job->attempt),
	    LOG_INT("duration_ms", run->outcome.duration_ms),
	    LOG_OPT("error", run->outcome.error),
	    LOG_OPT("traceback", run->outcome.traceback),
	    LOG_STR("state", store_state_name(state)),
	    {state == STORE_RETRYING ? "retry_in_ms" : NULL, LOG_KIND_INT,
		{NULL, 0}, (int64_t)wait_ms},
	};

	if (run->outcome.result == PROTO_ERROR)
		log_write(LOG_ERROR, "handler failed", fields, NELEMS(fields));
	else if (state == STORE_DEAD)
		log_write(LOG_ERROR, "job is dead", fields, NELEMS(fields));
	else
		log_write(LOG_INFO, "retry asked for", fields, NELEMS(fields));
}

static void
log_success(const struct run *run)
{
	const struct store_job *job = run->job;
	int done = run->outcome.result == PROTO_DONE;

	log_info(done ? "job done" : "job dropped",
	    LOG_STR("script", job->script),
	    LOG_STR("integration", job->integration),
	    LOG_STR("delivery", run->delivery),
	    LOG_STR("handler", run->handler),
	    LOG_STR("resource", job->resource), LOG_OPT("action", job->action),
	    LOG_INT("attempt", job->attempt),
	    LOG_INT("duration_ms", run->outcome.duration_ms),
	    LOG_OPT("reason", done ? NULL : run->outcome.error));
}

/* Count what became of it. */
static void
count(struct run *run, enum store_state state)
{
	struct feed *feed = run->feed;
	struct dispatch_stats *stats = &feed->d->stats;

	switch (run->outcome.result) {
	case PROTO_DONE:
		stats->done++;
		break;
	case PROTO_DROPPED:
		stats->dropped++;
		break;
	case PROTO_ERROR:
		stats->failed++;
		if (++feed->failures == DECIDE_THROTTLE_AFTER)
			log_warn("script is throttled to one job at a time",
			    LOG_STR("script", feed->script->name),
			    LOG_STR("integration", feed->script->integration));
		break;
	case PROTO_RETRY:
	case PROTO_GONE:
		break;
	}
	if (state == STORE_DEAD)
		stats->dead++;
	if (state == STORE_DONE || state == STORE_DROPPED)
		feed->failures = 0;
}

/* Decide by run->outcome what becomes of the job; ${name} is for the record. */
static void
conclude(struct run *run, const char *name)
{
	struct dispatch *d = run->feed->d;
	enum store_state state;
	uint64_t wait_ms = 0;
	uint32_t random = 0;

	if (run->outcome.result != PROTO_DONE)
		random_bytes(&random, sizeof(random));
	state = decide_after(&d->retry, run->job->attempt, run->outcome.result,
	    run->outcome.after_ms, random, &wait_ms);
	run_record(run, name, d->options.redact, d->options.cookie);
	if (state == STORE_DONE || state == STORE_DROPPED)
		log_success(run);
	else
		log_failure(run, state, wait_ms);
	count(run, state);
	finish(run, state,
	    state == STORE_RETRYING ? clock_unix_ms() + wait_ms : 0);
}

void
dispatch_lost(
    struct dispatch *d, struct run *run, const struct workers_death *death)
{
	struct feed *feed = run->feed;

	detach(run);
	if (death == NULL) {
		give_back(run);
	} else {
		run->outcome = (struct proto_outcome){
		    .result = PROTO_ERROR,
		    .after_ms = UINT64_MAX,
		    .duration_ms = clock_mono_ms() - run->started_mono_ms,
		    .cpu_us = death->cpu_us,
		    .memory_bytes = death->memory_bytes,
		    .error = mem_printf("killed: its worker %s", death->how),
		};
		conclude(run, "killed");
		/* The next time it takes no worker from the others. */
		scripts_set_slow(d->scripts, feed->script);
	}
	feed_resume(feed);
}

/* ---- a run -------------------------------------------------------------- */

void
dispatch_begin(struct feed *feed, struct store_job *job)
{
	struct dispatch *d = feed->d;
	struct bundle *b = feed->script->bundle;
	struct run *run = run_create(job, feed);

	if (d->draining || !script_is_servable(feed->script) ||
	    run_table_get(&d->runs, job->id) != NULL) {
		give_back(run);
		return;
	}
	run->bundle = b;
	scripts_hold(b);
	b->lane->nruns++;
	feed->running++;
	run_table_put(&d->runs, run);
	run_send(run, b->id, worker_out(b->lane->worker));
	if (d->options.job != NULL)
		d->options.job(d->options.cookie, job, STORE_RUNNING, 0, NULL);
}

/* Another handler of the script that is for that resource, or NULL. */
static const char *
other_handler(const struct dispatch *d, const struct run *run)
{
	const struct catalog_resource *resource =
	    catalog_find(d->options.catalog, str_of(run->job->resource));
	const char *const *names;
	size_t i, n;

	if (is_scheduled(run))
		return NULL;
	if (resource == NULL) {
		names = catalog_fallback_handlers(&n);
	} else {
		names = resource->handlers;
		n = resource->nhandlers;
	}
	for (i = 0; i < n; i++)
		if (strcmp(names[i], run->handler) != 0 &&
		    version_has_handler(run->bundle->version, names[i]))
			return names[i];
	return NULL;
}

/* The worker has no such handler.  Returns 1 if the run goes on. */
static int
reroute(struct dispatch *d, struct run *run)
{
	struct bundle *b = run->bundle;
	const char *handler = other_handler(d, run);

	/* Once is enough: a worker that knows no handler at all is broken. */
	if (handler == NULL || run->handler != run->job->handler ||
	    strcmp(run->handler, CATALOG_FIRE) == 0)
		return 0;
	run->handler = handler;
	run_send(run, b->id, worker_out(b->lane->worker));
	worker_flush(b->lane->worker);
	return 1;
}

/* What came back is taken as it is, but for what we decide ourselves. */
static void
end_run(struct dispatch *d, struct run *run)
{
	static const char *const names[] = {
	    [PROTO_DONE] = "done",
	    [PROTO_ERROR] = "error",
	    [PROTO_RETRY] = "retry",
	    [PROTO_DROPPED] = "dropped",
	    [PROTO_GONE] = "dropped",
	};
	struct proto_outcome *o = &run->outcome;
	struct script *script = run->feed->script;
	int was_replaced = run->bundle != script->bundle;

	if (o->result == PROTO_GONE && !was_replaced && reroute(d, run)) {
		proto_outcome_clear(o);
		return;
	}
	detach(run);
	if (o->slice_us > d->options.limits.slow_ms * 1000)
		scripts_set_slow(d->scripts, script);
	scripts_absolve(script);
	if (o->uncharged || (o->result == PROTO_GONE && was_replaced)) {
		give_back(run);
	} else {
		if (o->result == PROTO_GONE) {
			o->result = PROTO_DROPPED;
			free(o->error);
			o->error =
			    is_scheduled(run)
				? mem_printf("the script has no schedule "
					     "\"%s\" any more",
				      run->handler + strlen(PLAN_HANDLER))
				: mem_printf("the script has no handler %s any "
					     "more, nor "
					     "another one for %s",
				      run->handler, run->job->resource);
		}
		conclude(run, names[o->result]);
	}
	feed_resume(run->feed);
}

int
dispatch_outcome(
    struct dispatch *d, struct worker *worker, uint64_t id, struct str payload)
{
	struct run *run = run_table_get(&d->runs, id);
	struct proto_outcome outcome;

	if (proto_get_outcome(payload, &outcome) == -1)
		return -1;
	if ((unsigned int)outcome.result > PROTO_GONE || run == NULL ||
	    run->bundle->lane->worker != worker) {
		proto_outcome_clear(&outcome);
		return -1;
	}
	proto_outcome_clear(&run->outcome);
	run->outcome = outcome;
	end_run(d, run);
	return 0;
}
