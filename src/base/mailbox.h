#ifndef BASE_MAILBOX_H_
#define BASE_MAILBOX_H_

/*
 * How threads talk: letters are put into the mailbox of another thread, which
 * is woken by an eventfd and takes them all at once, in order.
 *
 * A letter (`struct mail`) is embedded in what it carries, so putting one in
 * allocates nothing and cannot fail.  Backpressure is the business of whoever
 * starts a request: mailbox_room() says whether the other side has too many
 * already; an answer always goes through.
 *
 * Floor: 0 (base).
 */

#include <stddef.h>

#include "base/compiler.h"

struct mail;
struct mailbox;

/* What the receiving thread does with a letter, which is its own from then. */
typedef void mail_cb(struct mail *mail);

struct mail {
	struct mail *next; /* The mailbox's, while it is in there. */
	mail_cb *open;     /* Called by mailbox_open_all(). */
};

/**
 * mailbox_create(capacity):
 * Make an empty mailbox; ${capacity} letters is what mailbox_room() allows.
 *
 * Ownership: the caller frees with mailbox_free().
 */
struct mailbox *mailbox_create(size_t capacity);

/**
 * mailbox_free(mailbox):
 * Free it.  Letters that are still in it are dropped unopened: both threads
 * must be done with it.
 */
void mailbox_free(struct mailbox *mailbox);

/**
 * mailbox_fd(mailbox):
 * The descriptor that is readable while letters wait; for an event loop.
 */
int mailbox_fd(const struct mailbox *mailbox);

/**
 * mailbox_room(mailbox):
 * Whether fewer letters than the capacity wait.  A hint: with several senders
 * the count may go over by as many as there are.
 *
 * Thread:    any.
 */
int mailbox_room(struct mailbox *mailbox);

/**
 * mailbox_put(mailbox, mail):
 * Put ${mail} in and wake the receiver.
 *
 * Ownership: ${mail} is the receiver's now.
 * Thread:    any.
 */
void mailbox_put(struct mailbox *mailbox, struct mail *mail);

/**
 * mailbox_put_all(mailbox, first):
 * Put in letters that are linked by their `next`, the first one first, with one
 * waking for all of them.
 *
 * Ownership: they are the receiver's now.
 * Thread:    any.
 */
void mailbox_put_all(struct mailbox *mailbox, struct mail *first);

/**
 * mailbox_take(mailbox):
 * Take all letters, the oldest first, linked by their `next`; NULL if none.
 *
 * Thread:    the receiver; does not block.
 */
struct mail *mailbox_take(struct mailbox *mailbox);

/* Take all letters and open each.  Thread: the receiver. */
void mailbox_open_all(struct mailbox *mailbox);

/**
 * mailbox_wait(mailbox, timeout_ms):
 * Sleep until a letter is there, or ${timeout_ms} have passed (-1: for ever).
 *
 * Thread:    the receiver; blocks.
 */
void mailbox_wait(struct mailbox *mailbox, int timeout_ms);

#endif /* !BASE_MAILBOX_H_ */
