#include <stdlib.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/loop.h"

#include "dispatch/dispatch_internal.h"

/* Jobs of one script that are claimed at once, before others have a turn. */
#define QUANTUM 16

/* Bytes that one worker has at most not read yet. */
#define LANE_BACKLOG (4U << 20)

/* The wall clock may be set: look at it again after so long. */
#define TIMER_MAX_MS 60000

static void on_claimed(struct store_op *op);

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct feed *feed = arg;
	uint64_t at = feed->next_unix_ms;

	(void)fd;
	(void)what;
	feed->next_unix_ms = 0;
	if (at > clock_unix_ms())
		feed_wake_at(feed, at);
	else
		feed_wake(feed);
}

struct feed *
feed_create(struct dispatch *d, struct script *script)
{
	struct feed *feed = mem_zalloc(sizeof(*feed));

	feed->d = d;
	feed->script = script;
	feed->timer = event_new(d->options.base, -1, 0, on_timer, feed);
	feed->next = d->feeds;
	d->feeds = feed;
	feed->agenda = agenda_create(d, script);
	script->feed = feed;

	/* What a host before us has left. */
	feed->due = 1;
	return feed;
}

void
feed_free(struct feed *feed)
{
	agenda_free(feed->agenda);
	event_free(feed->timer);
	free(feed);
}

void
dispatch_pump(struct dispatch *d)
{
	event_active(d->pump, EV_TIMEOUT, 0);
}

static void
enter_ring(struct feed *feed)
{
	struct dispatch *d = feed->d;

	if (feed->ringed)
		return;
	feed->ringed = 1;
	feed->ring_next = NULL;
	*d->ring_last = feed;
	d->ring_last = &feed->ring_next;
}

static struct feed *
leave_ring(struct dispatch *d)
{
	struct feed *feed = d->ring;

	d->ring = feed->ring_next;
	if (d->ring == NULL)
		d->ring_last = &d->ring;
	feed->ringed = 0;
	return feed;
}

void
feed_resume(struct feed *feed)
{
	if (feed->due && !feed->claiming)
		enter_ring(feed);
	/* Also for others, who may have waited for the same worker. */
	if (feed->d->ring != NULL)
		dispatch_pump(feed->d);
}

void
feed_wake(struct feed *feed)
{
	feed->due = 1;
	feed_resume(feed);
}

void
feed_wake_at(struct feed *feed, uint64_t unix_ms)
{
	uint64_t now = clock_unix_ms(), wait;

	if (unix_ms == 0 ||
	    (feed->next_unix_ms != 0 && feed->next_unix_ms <= unix_ms))
		return;
	feed->next_unix_ms = unix_ms;
	wait = unix_ms > now ? unix_ms - now : 0;
	(void)loop_arm(feed->timer, wait < TIMER_MAX_MS ? wait : TIMER_MAX_MS);
}

/* How many more the worker of a script can take. */
static unsigned int
room_of(const struct dispatch *d, const struct lane *lane)
{
	unsigned int used = lane->nruns + lane->nasked;

	if (worker_backlog(lane->worker) > LANE_BACKLOG)
		return 0;
	return used < d->lane_runs ? d->lane_runs - used : 0;
}

static void
claim(struct feed *feed, unsigned int n)
{
	struct dispatch *d = feed->d;
	struct err err = ERR_INIT;

	feed->claim = (struct store_claim){
	    .op = {.kind = STORE_OP_CLAIM,
		.reply_to = d->options.mailbox,
		.done = on_claimed,
		.cookie = feed},
	    .integration = feed->script->integration,
	    .script = feed->script->name,
	    .max = n,
	};
	if (dispatch_submit(d, &feed->claim.op, &err) == -1) {
		dispatch_store_trouble(d, err.msg);
		enter_ring(feed);
		return;
	}
	/* What becomes due from now on may not be among them. */
	feed->due = 0;
	feed->claiming = 1;
	feed->asked = feed->script->bundle->lane;
	feed->asked->nasked += n;
	d->nclaims++;
}

static void
on_claimed(struct store_op *op)
{
	struct feed *feed = op->cookie;
	struct dispatch *d = feed->d;
	struct store_claim *c = &feed->claim;
	struct store_job *job;
	size_t i;

	feed->claiming = 0;
	feed->asked->nasked -= (unsigned int)c->max;
	d->nclaims--;
	if (op->rc == -1) {
		dispatch_store_trouble(d, op->err.msg);
		feed_wake(feed);
		dispatch_check_drained(d);
		return;
	}

	/* There may be more where a full number came from. */
	if (c->ret_njobs == c->max)
		feed->due = 1;
	feed_wake_at(feed, c->ret_next_unix_ms);
	if (c->ret_nburied > 0)
		log_error("job is dead", LOG_STR("script", c->script),
		    LOG_STR("integration", c->integration),
		    LOG_INT("jobs", c->ret_nburied),
		    LOG_STR("error", c->ret_buried.msg));
	for (i = 0; i < c->ret_njobs; i++) {
		job = c->ret_jobs[i];
		c->ret_jobs[i] = NULL;
		dispatch_begin(feed, job);
	}
	store_claim_clear(c);
	if (feed->script->bundle != NULL)
		worker_flush(feed->script->bundle->lane->worker);
	feed_resume(feed);
	dispatch_check_drained(d);
}

void
dispatch_on_pump(evutil_socket_t fd, short what, void *arg)
{
	struct dispatch *d = arg;
	struct feed *feed, *kept = NULL;
	unsigned int slots, room;

	(void)fd;
	(void)what;
	while (d->ring != NULL && d->ring != kept && !d->draining &&
	       !d->store_trouble) {
		feed = leave_ring(d);
		slots = decide_slots(
		    d->options.concurrency, feed->running, feed->failures);

		/* It comes back into the ring when that changes. */
		if (feed->claiming || !script_is_servable(feed->script) ||
		    slots == 0)
			continue;
		room = room_of(d, feed->script->bundle->lane);
		if (room == 0) {
			/* Its worker is full: it keeps its turn. */
			enter_ring(feed);
			if (kept == NULL)
				kept = feed;
			continue;
		}
		if (slots > room)
			slots = room;
		claim(feed, slots < QUANTUM ? slots : QUANTUM);
	}
}
