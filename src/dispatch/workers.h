#ifndef DISPATCH_WORKERS_H_
#define DISPATCH_WORKERS_H_

/*
 * The worker processes: started, listened to, asked for a sign of life, killed
 * when there is none, and replaced.  What is said to them is the caller's
 * business; that they are there is this module's.
 *
 * Floor: 5 (dispatch).  May include base/, script/.
 */

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/ipc.h"
#include "wire/proto.h"

struct event_base;
struct worker;
struct workers;

/* How a worker came to its end. */
struct workers_death {
	const char *how; /* "did not answer for 3 s", "crashed: ..." */
	int by_itself; /* It hung, crashed or broke the protocol, or was killed
			* while a script ran: that one is to blame. */
	/* What it was at (struct proto_page): a hint. */
	enum proto_activity activity;
	uint64_t id;
	uint64_t cpu_us;       /* Of the run, as near as can be told. */
	uint64_t memory_bytes; /* Peak of the script. */
};

struct workers_options {
	struct event_base *base;
	const char *program; /* NULL: this binary. */
	struct proto_setup setup;
	void *cookie;

	/* A worker can be spoken to: it is new, nothing is loaded there. */
	void (*ready)(void *cookie, struct worker *worker);

	/* It said something (never READY or PONG).  Returns -1 if that is
	 * malformed: the worker is killed. */
	int (*frame)(
	    void *cookie, struct worker *worker, const struct ipc_frame *frame);

	/* It is gone with all that it had; another is on its way, unless they
	 * are being stopped. */
	void (*died)(void *cookie, struct worker *worker,
	    const struct workers_death *death);

	/* After workers_stop(): the last one is gone. */
	void (*stopped)(void *cookie);
};

/**
 * workers_create(options):
 * Make a pool without any worker.
 *
 * Ownership: keeps options->base, program and cookie; the caller frees with
 *            workers_free().
 * Thread:    that of the event base, as for everything here; it must live as
 *            long as the workers should.
 */
struct workers *workers_create(const struct workers_options *options);

/**
 * workers_add(workers, name, unsafe):
 * Add a worker, which log lines call ${name}.  It is started from the loop.
 * An ${unsafe} one is for a script that has all of Lua's libraries: the wall
 * around it is open, and what it has started ends with it.
 *
 * Ownership: the pool's.
 */
struct worker *workers_add(
    struct workers *workers, const char *name, int unsafe);

/* Whether it is there and has said that it is ready. */
int worker_is_ready(const struct worker *worker);

/* Its process, or -1 while there is none. */
pid_t worker_pid(const struct worker *worker);
const char *worker_name(const struct worker *worker);

/**
 * worker_out(worker), worker_flush(worker):
 * Append frames to what worker_out() returns, then send them.  What is said to
 * a worker that is not ready is forgotten.
 */
struct buf *worker_out(struct worker *worker);
void worker_flush(struct worker *worker);

/* How many bytes it has not read yet. */
size_t worker_backlog(const struct worker *worker);

/**
 * worker_kill(worker, how, by_itself):
 * Kill it; `died` is called from the loop, not from within this function.
 *
 * Ownership: ${how} is static text.
 */
void worker_kill(struct worker *worker, const char *how, int by_itself);

/**
 * workers_refuse(workers, port):
 * Tell all workers, also those to come, that the host listens on ${port}:
 * nothing that a script asks for leads back there.
 */
void workers_refuse(struct workers *workers, uint16_t port);

/**
 * workers_stop(workers, grace_ms):
 * Have every worker end by itself, and kill what is still there after
 * ${grace_ms}.  Then `stopped` is called, once, from the loop.
 */
void workers_stop(struct workers *workers, uint64_t grace_ms);

/* Kill what is left, without a callback.  NULL has no effect. */
void workers_free(struct workers *workers);

#endif /* !DISPATCH_WORKERS_H_ */
