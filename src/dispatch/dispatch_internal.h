#ifndef DISPATCH_DISPATCH_INTERNAL_H_
#define DISPATCH_DISPATCH_INTERNAL_H_

/*
 * What the parts of the dispatcher know of each other: dispatch.c (workers,
 * start and end, what others ask), claims.c (taking jobs), outcomes.c (what
 * becomes of them), questions.c (what they ask of the store while they run),
 * asks.c (what they ask of the host),
 * present.c (whose jobs are waited for),
 * agenda.c (what is due by the clock).
 *
 * Floor: 5 (dispatch).  Private to its folder.
 */

#include <event2/util.h>

#include "dispatch/agenda.h"
#include "dispatch/decide.h"
#include "dispatch/dispatch.h"
#include "dispatch/run.h"
#include "dispatch/scripts.h"
#include "dispatch/workers.h"

/* What one worker has at most of jobs, unless a single script may have more. */
#define LANE_RUNS 256

/* The dispatcher's side of a script. */
struct feed {
	struct dispatch *d;
	struct script *script;
	struct feed *next;      /* Of all. */
	struct feed *ring_next; /* Of those whose turn comes. */
	int ringed;
	int due;      /* There may be jobs to claim. */
	int claiming; /* The operation below is under way. */
	struct store_claim claim;
	struct lane *asked; /* For whom it is. */
	unsigned int running;
	unsigned int failures; /* In a row. */
	uint64_t next_unix_ms; /* When the next retry is due; 0: unknown. */
	struct event *timer;
	struct agenda *agenda; /* Owned: its schedules. */
};

struct dispatch_invoked;

struct dispatch {
	struct dispatch_options options;
	struct decide_retry retry;
	unsigned int lane_runs; /* Jobs that a worker has at most. */
	struct workers *workers;
	struct scripts *scripts;
	struct feed *feeds;
	struct feed *ring; /* Whose turn it is first. */
	struct feed **ring_last;
	struct event *pump;    /* Claim what can be claimed. */
	struct event *publish; /* Handlers have changed. */
	struct run_table runs;
	struct dispatch_stats stats;

	/* Operations of this round of the loop, and what hands them in. */
	struct store_batch batch;
	struct event *submit;

	/* Operations that the store has, and those that it refused. */
	unsigned int nclaims;
	unsigned int nfinishing;
	unsigned int nplanning; /* Of the agendas. */
	struct run *refused;
	struct question *questions;       /* That the store has. */
	struct dispatch_asked *asked;     /* That the host has. */
	struct dispatch_invoked *invoked; /* Requests to UI components. */
	struct store_present present;
	struct store_script_name *present_names;
	int telling; /* The store has ${present}. */
	int tell_again;
	struct event *again; /* Try the store once more. */
	int store_trouble;

	void (*settled)(void *cookie);
	void *settled_cookie;
	int settled_once; /* The first load of all scripts is over. */
	struct event *settle;

	int draining;
	int stopping; /* The workers have been told to end. */
	struct event *deadline;
	struct event *lease; /* Look for jobs that do not come back. */
	void (*drained)(void *cookie);
	void *drained_cookie;
};

/* ---- claims.c ---------------------------------------------------------- */

struct feed *feed_create(struct dispatch *d, struct script *script);
void feed_free(struct feed *feed);

/* There may be jobs of it; or it may take more than a moment ago. */
void feed_wake(struct feed *feed);
void feed_resume(struct feed *feed);

/* A job will be due at that time. */
void feed_wake_at(struct feed *feed, uint64_t unix_ms);

/* Have the loop see what can be claimed. */
void dispatch_pump(struct dispatch *d);
void dispatch_on_pump(evutil_socket_t fd, short what, void *arg);

/* ---- outcomes.c -------------------------------------------------------- */

/* A claimed job begins, or goes back if its script cannot take it now.  The
 * caller flushes its worker. */
void dispatch_begin(struct feed *feed, struct store_job *job);

/* OUTCOME of a worker.  Returns -1 if it is malformed. */
int dispatch_outcome(struct dispatch *d, struct worker *worker, uint64_t id,
    struct str payload) ATTR_MUSTCHECK;

/* A run is lost with its worker; ${death}: by its own fault, NULL: put it back.
 */
void dispatch_lost(
    struct dispatch *d, struct run *run, const struct workers_death *death);

/* The store did not take something: try again in a while. */
void dispatch_store_trouble(struct dispatch *d, const char *why);
void dispatch_on_again(evutil_socket_t fd, short what, void *arg);

/* ---- questions.c ------------------------------------------------------- */

/* STEP, KV, CALL of a worker.  Return -1 if it is malformed. */
int dispatch_step(struct dispatch *d, struct worker *worker,
    const struct ipc_frame *frame) ATTR_MUSTCHECK;
int dispatch_kv(struct dispatch *d, struct worker *worker,
    const struct ipc_frame *frame) ATTR_MUSTCHECK;
int dispatch_call(struct dispatch *d, struct worker *worker,
    const struct ipc_frame *frame) ATTR_MUSTCHECK;

/* A worker is gone: nobody waits for the answers to what it asked. */
void dispatch_forget_questions(struct dispatch *d, struct lane *lane);

/* ---- asks.c ------------------------------------------------------------ */

/* ASK of a worker.  Returns -1 if it is malformed. */
int dispatch_ask(struct dispatch *d, struct worker *worker,
    const struct ipc_frame *frame) ATTR_MUSTCHECK;

/* A worker is gone: nobody waits for the answers to what it asked. */
void dispatch_forget_asks(struct dispatch *d, struct lane *lane);

/* ---- invoke.c ---------------------------------------------------------- */

/* ${script} can be asked now: send what waits for it. */
void dispatch_invoke_waiting(struct dispatch *d, const struct script *script);

/* INVOKED of a worker.  Returns -1 if it is malformed. */
int dispatch_take_invoked(struct dispatch *d, struct worker *worker,
    uint64_t id, struct str payload) ATTR_MUSTCHECK;

/* Where the log and the calls of invocation ${id} go; NULL: it is none. */
struct run *dispatch_invoked_record(
    const struct dispatch *d, const struct worker *worker, uint64_t id);

/* A worker is gone, and what it was at.  Returns the script of invocation
 * ${id}, if that is one, else NULL. */
struct script *dispatch_lose_invoked(
    struct dispatch *d, const struct lane *lane, const char *how, uint64_t id);

/* Answer what is left, into nothing. */
void dispatch_free_invoked(struct dispatch *d);

/* ---- present.c --------------------------------------------------------- */

/* Tell the store which scripts there are, and show those that it misses. */
void dispatch_tell_present(struct dispatch *d);

/* ---- dispatch.c -------------------------------------------------------- */

/* Give the store an operation, with the others of this round of the loop.
 * Returns as store_submit(). */
int dispatch_submit(
    struct dispatch *d, struct store_op *op, struct err *err) ATTR_MUSTCHECK;

/* Go on with the drain if what it waited for has come. */
void dispatch_check_drained(struct dispatch *d);

#endif /* !DISPATCH_DISPATCH_INTERNAL_H_ */
