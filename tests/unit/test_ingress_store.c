/*
 * The ingress with the real store: what was answered 200 is there.
 */

#include <pthread.h>

#include "base/log.h"
#include "base/mailbox.h"
#include "store/store.h"

#include "unit/ingress_util.h"
#include "unit/scratch.h"

static struct scratch scratch;
static struct store *store;
static struct mailbox *box;

static void
begin(void)
{
	struct store_options so = {.dedupe_window_ms = 3600000};
	struct ingress_options o = util_ingress_options();

	log_setup(LOG_FORMAT_JSON, LOG_ERROR, 0);
	scratch_make(&scratch);
	box = mailbox_create(16);
	so.path = scratch.dir;
	cr_assert_eq(store_open(&so, &store, NULL), 0);
	o.store = store;
	o.threads = 2;
	util_start(&o);
}

static void
end(void)
{
	util_stop();
	store_close(store);
	mailbox_free(box);
	scratch_clear(&scratch);
}

TestSuite(ingress_store, .init = begin, .fini = end, .timeout = 60);

static void *
send_some(void *arg)
{
	const char *body = arg;
	struct buf b = BUF_INIT;
	char got[4096];
	int i, fd;

	for (i = 0; i < 50; i++) {
		buf_reset(&b);
		util_put_request(&b, &(struct ask){.body = body});
		fd = util_dial();
		(void)send(fd, b.data, b.len, MSG_NOSIGNAL);
		if (recv(fd, got, sizeof(got), MSG_WAITALL) < 12 ||
		    memcmp(got, "HTTP/1.1 200", 12) != 0)
			abort();
		(void)close(fd);
	}
	buf_free(&b);
	return NULL;
}

static void
count_done(struct store_op *op)
{
	*(int *)op->cookie = 1;
}

static uint64_t
deliveries(void)
{
	struct store_counts counts;
	int done = 0;

	(void)memset(&counts, 0, sizeof(counts));
	counts.op.kind = STORE_OP_COUNTS;
	counts.op.reply_to = box;
	counts.op.done = count_done;
	counts.op.cookie = &done;
	cr_assert_eq(store_submit(store, &counts.op, NULL), 0);
	while (!done) {
		mailbox_wait(box, -1);
		mailbox_open_all(box);
	}
	cr_assert_eq(counts.op.rc, 0);
	return counts.ret_deliveries;
}

Test(ingress_store, keeps_each_delivery_of_many_clients)
{
	char *body = util_sample("issue.created");
	pthread_t threads[4];
	size_t i;

	for (i = 0; i < NELEMS(threads); i++)
		cr_assert_eq(
		    pthread_create(&threads[i], NULL, send_some, body), 0);
	for (i = 0; i < NELEMS(threads); i++)
		cr_assert_eq(pthread_join(threads[i], NULL), 0);
	cr_expect_eq(deliveries(), 200);
	cr_expect_eq(ingress_stats(util_ingress).accepted, 200);
	free(body);
}

Test(ingress_store, tells_the_first_id_of_a_duplicate)
{
	char *body = util_sample("issue.created"), *first;
	char want[128];

	ASK(.body = body, .headers = "Idempotency-Key: k1\r\n");
	EXPECT_IN(200, "{\"status\":\"accepted\",\"id\":\"");
	first = mem_strdup(strstr(util_answer.body, "\"id\""));
	ASK(.body = body, .headers = "Idempotency-Key: k1\r\n");
	(void)snprintf(
	    want, sizeof(want), "{\"status\":\"duplicate\",%s", first);
	EXPECT(200, want);
	/* Another key, no key, or another body: deliveries of their own. */
	ASK(.body = body, .headers = "Idempotency-Key: k2\r\n");
	EXPECT_IN(200, "accepted");
	ASK(.body = body);
	EXPECT_IN(200, "accepted");
	ASK(.body = body);
	EXPECT_IN(200, "accepted");
	free(body);
	body = util_sample("issue.resolved");
	ASK(.body = body, .headers = "Idempotency-Key: k1\r\n");
	EXPECT_IN(200, "accepted");
	/* What violates its schema is kept once as well. */
	ASK(.body = "{}", .headers = "Idempotency-Key: k3\r\n");
	EXPECT_IN(422, "schema_violation");
	ASK(.body = "{}", .headers = "Idempotency-Key: k3\r\n");
	EXPECT_IN(422, "schema_violation");
	cr_expect_eq(deliveries(), 6);
	free(first);
	free(body);
}
