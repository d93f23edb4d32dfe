#include <criterion/criterion.h>

#include "base/err.h"
#include "base/ipc.h"
#include "script/question.h"

static struct buf out;
static struct questions qs;
static struct question many[PROTO_QUESTIONS_MAX + 3];
static unsigned int answers;
static struct question *last;
static uint64_t last_code;

static void
setup(void)
{
	questions_init(&qs, &out, NULL, NULL);
}

static void
teardown(void)
{
	size_t i;

	for (i = 0; i < NELEMS(many); i++)
		question_cancel(&qs, &many[i]);
	buf_free(&out);
}

TestSuite(question, .init = setup, .fini = teardown, .timeout = 20);

static void
answered(struct question *q, const struct proto_answer *answer)
{
	answers++;
	last = q;
	last_code = answer->code;
}

static void
ask(struct question *q)
{
	struct proto_kv m = {.key = STR("k")};
	struct buf *frame = question_open(&qs, q, answered);

	proto_put_kv(frame, q->id, &m);
	question_send(&qs, q);
}

static int
answer(uint64_t id)
{
	struct proto_answer m = {.code = ERR_TIMEOUT};
	struct buf frame = BUF_INIT;
	struct ipc_frame f;
	int rc;

	proto_put_answer(&frame, PROTO_KV_IS, id, &m);
	cr_assert_gt(ipc_next(frame.data, frame.len, &f, NULL), 0);
	rc = questions_answer(&qs, f.id, f.payload);
	buf_free(&frame);
	return rc;
}

/* How many frames were sent. */
static unsigned int
sent(void)
{
	struct ipc_frame f;
	unsigned int n = 0;
	size_t at = 0;

	for (; at < out.len; n++)
		at += (size_t)ipc_next(out.data + at, out.len - at, &f, NULL);
	return n;
}

Test(question, is_answered_once)
{
	ask(&many[0]);
	ask(&many[1]);
	cr_assert_eq(sent(), 2);
	cr_assert_neq(many[0].id, many[1].id);
	cr_assert_eq(answer(many[0].id), 0);
	cr_assert_eq(answers, 1);
	cr_assert_eq(last, &many[0]);
	cr_assert_eq(last_code, ERR_TIMEOUT);
	cr_assert_eq(many[0].state, QUESTION_CLOSED);
	cr_assert_eq(answer(many[0].id), 0);
	cr_assert_eq(answers, 1);
}

Test(question, can_be_asked_again)
{
	uint64_t id;

	ask(&many[0]);
	id = many[0].id;
	question_cancel(&qs, &many[0]);
	ask(&many[0]);
	cr_assert_eq(answer(id), 0);
	cr_assert_eq(answers, 0);
	cr_assert_eq(answer(many[0].id), 0);
	cr_assert_eq(answers, 1);
}

Test(question, is_held_back_when_many_are_out)
{
	size_t i;

	for (i = 0; i < NELEMS(many); i++)
		ask(&many[i]);
	cr_assert_eq(sent(), PROTO_QUESTIONS_MAX);
	cr_assert_eq(many[PROTO_QUESTIONS_MAX].state, QUESTION_HELD);

	/* The oldest that still waits goes next; a cancelled one never does. */
	question_cancel(&qs, &many[PROTO_QUESTIONS_MAX]);
	cr_assert_eq(answer(many[5].id), 0);
	cr_assert_eq(sent(), PROTO_QUESTIONS_MAX + 1);
	cr_assert_eq(many[PROTO_QUESTIONS_MAX + 1].state, QUESTION_SENT);

	/* Cancelling what is out makes no room: the host still has it. */
	question_cancel(&qs, &many[6]);
	cr_assert_eq(sent(), PROTO_QUESTIONS_MAX + 1);
	cr_assert_eq(many[PROTO_QUESTIONS_MAX + 2].state, QUESTION_HELD);
	cr_assert_eq(answer(7), 0);
	cr_assert_eq(sent(), PROTO_QUESTIONS_MAX + 2);
	cr_assert_eq(answers, 1);
}

Test(question, an_answer_to_nothing_is_refused)
{
	cr_assert_eq(answer(1), -1);
	ask(&many[0]);
	cr_assert_eq(questions_answer(&qs, many[0].id, STR("x")), -1);
	cr_assert_eq(answers, 0);
}
