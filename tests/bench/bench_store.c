/*
 * What the store costs: CPU (of the whole process, checkpoints included) and
 * time for each append, and for each claim and finish.
 *
 *	build/release/tests/bench/bench_store [FOLDER [DELIVERIES [GROUP]]]
 */

#include <sys/resource.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mailbox.h"
#include "base/mem.h"

#include "store/store.h"

#define GROUP_MAX 64

struct delivery {
	struct store_append op;
	struct store_new_job job;
	char key[40];
	char order[24];
};

/* When something began. */
struct mark {
	struct rusage usage;
	uint64_t ns;
};

static struct store *store;
static struct mailbox *box;
static int waiting;

static void
done(struct store_op *op)
{
	if (op->rc == -1) {
		(void)fprintf(stderr, "bench_store: %s\n", op->err.msg);
		exit(1);
	}
	waiting--;
}

static void
submit(struct store_op *op, enum store_kind kind)
{
	struct err err;

	op->kind = kind;
	op->reply_to = box;
	op->done = done;
	waiting++;
	if (store_submit(store, op, &err) == -1)
		exit(1);
}

static void
wait_all(void)
{
	while (waiting > 0) {
		mailbox_wait(box, -1);
		mailbox_open_all(box);
	}
}

static uint64_t
us_of(struct timeval t)
{
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

static void
start(struct mark *mark)
{
	(void)getrusage(RUSAGE_SELF, &mark->usage);
	mark->ns = clock_mono_ns();
}

static void
show(const char *what, size_t size, int group, int n, const struct mark *mark)
{
	double seconds = (double)(clock_mono_ns() - mark->ns) / 1e9;
	struct rusage u;

	(void)getrusage(RUSAGE_SELF, &u);
	(void)printf("%-16s %6zu B, groups of %2d: %6.1f us CPU (%.1f in the"
		     " kernel), %7.0f /s\n",
	    what, size, group,
	    (double)(us_of(u.ru_utime) + us_of(u.ru_stime) -
		     us_of(mark->usage.ru_utime) -
		     us_of(mark->usage.ru_stime)) /
		n,
	    (double)(us_of(u.ru_stime) - us_of(mark->usage.ru_stime)) / n,
	    n / seconds);
}

static void
append(size_t size, int group, int n, int script)
{
	static struct delivery d[GROUP_MAX];
	char *body = mem_zalloc(size + 1), name[24];
	static const char headers[] =
	    "{\"Content-Type\":\"application/json\",\"Request-ID\":"
	    "\"0123456789abcdef0123456789abcdef\",\"Sentry-Hook-Resource\":"
	    "\"issue\",\"Sentry-Hook-Timestamp\":\"1700000000\","
	    "\"Sentry-Hook-Signature\":\"0123456789abcdef0123456789abcdef"
	    "0123456789abcdef0123456789abcdef\",\"User-Agent\":\"sentry\"}";
	struct mark mark;
	int i, k;

	for (i = 0; i < (int)size; i++)
		body[i] = (char)('a' + i % 26);
	(void)snprintf(name, sizeof(name), "script-%d", script);
	start(&mark);
	for (i = 0; i < n; i += group) {
		for (k = 0; k < group; k++) {
			(void)memset(&d[k].op, 0, sizeof(d[k].op));
			d[k].op.state =
			    size == 0 ? STORE_UNHANDLED : STORE_PENDING;
			d[k].op.integration = "default";
			d[k].op.channel = d[k].op.resource = "issue";
			d[k].op.action = "created";
			d[k].op.request_id = "0123456789abcdef0123456789abcdef";
			d[k].op.headers_json =
			    (struct str){headers, sizeof(headers) - 1};
			d[k].op.body = (struct str){body, size};
			d[k].op.received_unix_ms = clock_unix_ms();
			(void)snprintf(d[k].key, sizeof(d[k].key),
			    "%d-%d-%zu-%d", i, k, size, group);
			d[k].op.dedupe_key = str_of(d[k].key);
			d[k].op.signature = str_of(d[k].key);
			(void)snprintf(d[k].order, sizeof(d[k].order),
			    "issue-%d", (i + k) * 7919 % 100000);
			d[k].job.script = name;
			d[k].job.handler = "on_issue";
			d[k].job.order_key = str_of(d[k].order);
			d[k].op.jobs = &d[k].job;
			d[k].op.njobs = size == 0 ? 0 : 1;
			submit(&d[k].op.op, STORE_OP_APPEND);
		}
		wait_all();
	}
	show(size == 0 ? "append, no job" : "append", size, group, n, &mark);
	free(body);
}

static void
run(size_t size, int group, int n, int script)
{
	struct store_finish f[GROUP_MAX];
	struct store_run r;
	struct store_claim c;
	struct mark mark;
	char name[24];
	size_t k;
	int i;

	(void)snprintf(name, sizeof(name), "script-%d", script);
	(void)memset(&r, 0, sizeof(r));
	r.outcome = "done";
	r.started_unix_ms = clock_unix_ms();
	start(&mark);
	for (i = 0; i < n;) {
		(void)memset(&c, 0, sizeof(c));
		c.integration = "default";
		c.script = name;
		c.max = (size_t)group;
		submit(&c.op, STORE_OP_CLAIM);
		wait_all();
		if (c.ret_njobs == 0)
			break;
		i += (int)c.ret_njobs;
		for (k = 0; k < c.ret_njobs; k++) {
			(void)memset(&f[k], 0, sizeof(f[k]));
			f[k].job_id = c.ret_jobs[k]->id;
			f[k].state = STORE_DONE;
			f[k].run = &r;
			submit(&f[k].op, STORE_OP_FINISH);
		}
		store_claim_clear(&c);
		wait_all();
	}
	show("claim and finish", size, group, i, &mark);
}

int
main(int argc, char **argv)
{
	static const size_t sizes[] = {0, 1600, 22000};
	static const int groups[] = {1, 8, 64};
	struct store_options o = {.path = argc > 1 ? argv[1] : "bench-store",
	    .dedupe_window_ms = 3600000};
	int n = argc > 2 ? atoi(argv[2]) : 6400, script = 0;
	int only = argc > 3 ? atoi(argv[3]) : 0;
	struct err err;
	size_t s, g;

	box = mailbox_create(1000);
	if (store_open(&o, &store, &err) == -1) {
		(void)fprintf(stderr, "bench_store: %s\n", err.msg);
		return 1;
	}
	for (s = 0; s < NELEMS(sizes); s++) {
		for (g = 0; g < NELEMS(groups); g++) {
			if (only != 0 && groups[g] != only)
				continue;
			append(sizes[s], groups[g], n, ++script);
			if (sizes[s] != 0)
				run(sizes[s], groups[g], n, script);
		}
	}
	store_close(store);
	mailbox_free(box);
	return 0;
}
