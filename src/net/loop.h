#ifndef NET_LOOP_H_
#define NET_LOOP_H_

/*
 * A thread's event loop: an event_base with the mailbox by which other threads
 * reach it, and timers.  It runs on the calling thread or on one of its own.
 *
 * Making a loop makes the process ignore SIGPIPE: a peer that is gone is an
 * error on its connection, not the end of the program.  What libevent has to
 * say goes to the log.
 *
 * Floor: 2 (net).  May include base/, crypto/.
 */

#include <sys/time.h>

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

struct err;
struct event;
struct event_base;
struct loop;
struct loop_timer;
struct mailbox;

typedef void loop_cb(void *cookie);

/**
 * loop_create(capacity, ret_loop, err):
 * Make a loop whose mailbox has room for ${capacity} letters.
 *
 * Errors:    ERR_UNAVAILABLE  no descriptors left.
 * Ownership: the caller frees with loop_free().
 */
int loop_create(
    size_t capacity, struct loop **ret_loop, struct err *err) ATTR_MUSTCHECK;

/**
 * loop_free(loop):
 * Free it, after everything that was added to its base.  It must not be running
 * any more.
 */
void loop_free(struct loop *loop);

/* For libevent; used on the loop's own thread alone. */
struct event_base *loop_base(const struct loop *loop);

/* Letters put in here are opened on the loop's thread. */
struct mailbox *loop_mailbox(const struct loop *loop);

/**
 * loop_run(loop):
 * Run on the calling thread until loop_stop().
 */
void loop_run(struct loop *loop);

/**
 * loop_start(loop, name, err):
 * Run on a thread of its own, which is called ${name} (15 letters at most), and
 * takes no signals.
 *
 * Errors:    ERR_UNAVAILABLE  no thread could be made.
 */
int loop_start(
    struct loop *loop, const char *name, struct err *err) ATTR_MUSTCHECK;

/**
 * loop_stop(loop):
 * Have loop_run() return soon; letters that are there are opened before.
 *
 * Thread:    any.
 */
void loop_stop(struct loop *loop);

/* Wait for the thread of loop_start() to end.  Thread: another; blocks. */
void loop_join(struct loop *loop);

/**
 * loop_call(loop, cb, cookie):
 * Have ${cb}(${cookie}) called on the loop's thread.
 *
 * Ownership: keeps ${cookie} until then; one that the loop stopped before is
 *            never called.
 * Thread:    any.
 */
void loop_call(struct loop *loop, loop_cb *cb, void *cookie);

/**
 * loop_timer_create(loop, cb, cookie):
 * Make a timer that is not set.
 *
 * Ownership: keeps ${cookie}; the caller frees with loop_timer_free(), before
 *            the loop.
 * Thread:    the loop's, or any before the loop runs; so for the others below.
 */
struct loop_timer *loop_timer_create(
    struct loop *loop, loop_cb *cb, void *cookie);
void loop_timer_free(struct loop_timer *timer);

/* Call back once, in ${ms} from now; a time set before is forgotten. */
void loop_timer_set(struct loop_timer *timer, uint64_t ms);
void loop_timer_cancel(struct loop_timer *timer);

/* Call back once in this round of the loop, after what is ready already. */
void loop_timer_now(struct loop_timer *timer);

/* For bare events: ${ms} as libevent wants it; and have ${ev} called in ${ms}.
 * loop_arm() returns 0, or -1 if there is no memory. */
struct timeval loop_timeval(uint64_t ms);
int loop_arm(struct event *ev, uint64_t ms);

#endif /* !NET_LOOP_H_ */
