#include <assert.h>

#include "script/question.h"

void
questions_init(struct questions *qs, struct buf *out,
    void (*wrote)(void *cookie), void *cookie)
{
	*qs = (struct questions){.out = out, .wrote = wrote, .cookie = cookie};
	TAILQ_INIT(&qs->sent);
	TAILQ_INIT(&qs->held);
}

struct buf *
question_open(
    struct questions *qs, struct question *q, question_answered_cb *answered)
{
	assert(q->state == QUESTION_CLOSED);
	q->id = ++qs->last_id;
	q->answered = answered;
	return &q->held;
}

/* Its frame goes out. */
static void
send(struct questions *qs, struct question *q)
{
	buf_put(qs->out, q->held.data, q->held.len);
	buf_free(&q->held);
	q->state = QUESTION_SENT;
	TAILQ_INSERT_TAIL(&qs->sent, q, entry);
	qs->unanswered++;
	if (qs->wrote != NULL)
		qs->wrote(qs->cookie);
}

void
question_send(struct questions *qs, struct question *q)
{
	if (qs->unanswered < PROTO_QUESTIONS_MAX) {
		send(qs, q);
	} else {
		q->state = QUESTION_HELD;
		TAILQ_INSERT_TAIL(&qs->held, q, entry);
	}
}

void
question_cancel(struct questions *qs, struct question *q)
{
	switch (q->state) {
	case QUESTION_SENT:
		TAILQ_REMOVE(&qs->sent, q, entry);
		break;
	case QUESTION_HELD:
		TAILQ_REMOVE(&qs->held, q, entry);
		break;
	case QUESTION_CLOSED:
		break;
	}
	buf_free(&q->held);
	q->state = QUESTION_CLOSED;
}

int
questions_answer(struct questions *qs, uint64_t id, struct str payload)
{
	struct proto_answer answer;
	struct question *q, *next;

	if (qs->unanswered == 0 || proto_get_answer(payload, &answer) == -1)
		return -1;
	TAILQ_FOREACH (q, &qs->sent, entry) {
		if (q->id == id)
			break;
	}

	/* The place that became free is for the one that waits longest. */
	qs->unanswered--;
	next = TAILQ_FIRST(&qs->held);
	if (next != NULL) {
		TAILQ_REMOVE(&qs->held, next, entry);
		send(qs, next);
	}
	if (q != NULL) {
		TAILQ_REMOVE(&qs->sent, q, entry);
		q->state = QUESTION_CLOSED;
		q->answered(q, &answer);
	}
	return 0;
}
