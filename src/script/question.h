#ifndef SCRIPT_QUESTION_H_
#define SCRIPT_QUESTION_H_

/*
 * Questions to the host that take time: what a script waits for until the
 * store, or another server that the host asks, has answered.  Only
 * PROTO_QUESTIONS_MAX are sent before one of them is answered; the others are
 * held here, so that the host has to remember so many and no more.
 *
 * Floor: 4 (script).  May include base/.
 */

#include <sys/queue.h>

#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"

#include "wire/proto.h"

struct question;

/* The answer, of which nothing is valid any more when this returns. */
typedef void question_answered_cb(
    struct question *question, const struct proto_answer *answer);

enum question_state {
	QUESTION_CLOSED, /* All zero: never asked, cancelled, or answered. */
	QUESTION_HELD,
	QUESTION_SENT,
};

/* Embedded in its owner. */
struct question {
	enum question_state state;
	uint64_t id;     /* Of its frame. */
	struct buf held; /* The frame, while it is held. */
	question_answered_cb *answered;
	TAILQ_ENTRY(question) entry;
};

TAILQ_HEAD(question_list, question);

/* Those of one worker. */
struct questions {
	struct buf *out;             /* Where frames are sent from; borrowed. */
	void (*wrote)(void *cookie); /* Something is in there; may be NULL. */
	void *cookie;
	uint64_t last_id;
	unsigned int unanswered; /* Sent, also those that were cancelled. */
	struct question_list sent;
	struct question_list held;
};

/* Begin; ${out}, ${wrote} and ${cookie} are kept. */
void questions_init(struct questions *questions, struct buf *out,
    void (*wrote)(void *cookie), void *cookie);

/**
 * question_open(questions, question, answered),
 * question_send(questions, question):
 * Give a closed ${question} its number, and return where to put its frame,
 * which has that number; then send it, or hold it back.
 *
 * Ownership: keeps ${question} until it is answered or cancelled.
 */
struct buf *question_open(struct questions *questions,
    struct question *question, question_answered_cb *answered);
void question_send(struct questions *questions, struct question *question);

/* Its answer is not wanted any more.  No effect on one that is closed. */
void question_cancel(struct questions *questions, struct question *question);

/**
 * questions_answer(questions, id, payload):
 * The host's answer to the question of that number came.
 *
 * Returns:   0, or -1 if it is malformed, or nothing was asked.
 */
int questions_answer(struct questions *questions, uint64_t id,
    struct str payload) ATTR_MUSTCHECK;

#endif /* !SCRIPT_QUESTION_H_ */
