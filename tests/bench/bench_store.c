/*
 * What the store costs a delivery: appended, claimed and finished in batches.
 * An append is answered when the log has it, with one sync a batch; its rows
 * are committed behind it.  The next batch of appends or claims waits for the
 * answers to the one before; finishes do not.  Time is what the caller waits,
 * CPU is that of all threads, with the commit of the rows.  Sizes of batches
 * take turns; medians.
 *
 *	build/release/tests/bench/bench_store [FOLDER]
 *
 *	BENCH_STORE_ROUNDS      turns of each (default 3)
 *	BENCH_STORE_DELIVERIES  of a turn (default 1024)
 *	BENCH_STORE_BATCH       only this one of 1, 8, 64, 256
 */

#include <sys/resource.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mailbox.h"
#include "base/mem.h"

#include "store/store.h"

#include "bench/measure.h"

#define BATCH_MAX 256

/* Finishes that wait for their answers at the same time, at most. */
#define IN_FLIGHT 1024

/* As `moonpost serve` has it. */
#define KEEP_BYTES (16U << 20)

/* When something began. */
struct mark {
	double cpu_us;
	uint64_t ns;
};

/* What was measured of one part, a round each. */
struct part {
	double *wait_us;
	double *cpu_us;
};

struct delivery {
	struct store_append op;
	struct store_new_job job;
	char key[40];
};

enum {
	APPEND,
	CLAIM,
	FINISH,
	NPARTS
};

static struct store *store;
static struct store_batch batch;
static struct mailbox *box;
static int waiting;

static void
done(struct store_op *op)
{
	if (op->rc == -1)
		measure_fail("store", op->err.msg);
	waiting--;
}

static void
collect(struct store_op *op, enum store_kind kind)
{
	struct err err;

	op->kind = kind;
	op->reply_to = box;
	op->done = done;
	waiting++;
	if (store_collect(store, &batch, op, &err) == -1)
		measure_fail("store", err.msg);
}

static void
wait_all(void)
{
	while (waiting > 0) {
		mailbox_wait(box, -1);
		mailbox_open_all(box);
	}
}

/* Until all rows are committed: a value is, at once and with all before it. */
static void
settle(void)
{
	struct store_kv kv = {.what = STORE_KV_SET,
	    .integration = "default",
	    .key = STR("settled"),
	    .value_json = STR("1")};

	collect(&kv.op, STORE_OP_KV);
	store_submit_all(store, &batch);
	wait_all();
}

static double
us_of(struct timeval t)
{
	return (double)t.tv_sec * 1e6 + (double)t.tv_usec;
}

static double
cpu_us(void)
{
	struct rusage u;

	(void)getrusage(RUSAGE_SELF, &u);
	return us_of(u.ru_utime) + us_of(u.ru_stime);
}

static struct mark
start(void)
{
	return (struct mark){cpu_us(), clock_mono_ns()};
}

/* The last answer is there; now let the rows follow, which costs CPU, too. */
static void
end(struct mark since, int n, size_t round, struct part *part)
{
	part->wait_us[round] = (double)(clock_mono_ns() - since.ns) / 1e3 / n;
	settle();
	part->cpu_us[round] = (cpu_us() - since.cpu_us) / n;
}

static void
append(struct str body, const char *script, int size, int n)
{
	static const char headers[] =
	    "{\"Content-Type\":\"application/json\",\"Request-ID\":"
	    "\"0123456789abcdef0123456789abcdef\",\"Sentry-Hook-Resource\":"
	    "\"issue\",\"Sentry-Hook-Timestamp\":\"1700000000\","
	    "\"Sentry-Hook-Signature\":\"0123456789abcdef0123456789abcdef"
	    "0123456789abcdef0123456789abcdef\",\"User-Agent\":\"sentry\"}";
	static struct delivery d[BATCH_MAX];
	static unsigned int number;
	int i, k;

	for (i = 0; i < n; i += size) {
		for (k = 0; k < size; k++) {
			(void)memset(&d[k].op, 0, sizeof(d[k].op));
			d[k].op.state = STORE_PENDING;
			d[k].op.integration = "default";
			d[k].op.channel = d[k].op.resource = "issue";
			d[k].op.action = "created";
			d[k].op.request_id = "0123456789abcdef0123456789abcdef";
			d[k].op.headers_json = STR(headers);
			d[k].op.body = body;
			d[k].op.received_unix_ms = clock_unix_ms();
			/* Each is another delivery about another issue. */
			(void)snprintf(d[k].key, sizeof(d[k].key),
			    "0123456789abcdef-%u", ++number);
			d[k].op.dedupe_key = str_of(d[k].key);
			d[k].op.signature = d[k].op.dedupe_key;
			d[k].job.script = script;
			d[k].job.handler = "on_issue";
			d[k].job.order_key = d[k].op.dedupe_key;
			d[k].op.jobs = &d[k].job;
			d[k].op.njobs = 1;
			collect(&d[k].op.op, STORE_OP_APPEND);
		}
		store_submit_all(store, &batch);
		wait_all();
	}
}

/* All of them, with their bodies, which are let go at once. */
static void
claim(const char *script, int size, int n, uint64_t *ret_ids)
{
	struct store_claim c;
	size_t k;
	int i;

	for (i = 0; i < n;) {
		(void)memset(&c, 0, sizeof(c));
		c.integration = "default";
		c.script = script;
		c.max = (size_t)size;
		collect(&c.op, STORE_OP_CLAIM);
		store_submit_all(store, &batch);
		wait_all();
		if (c.ret_njobs == 0)
			measure_fail("claim", "nothing is due");
		for (k = 0; k < c.ret_njobs; k++)
			ret_ids[i++] = c.ret_jobs[k]->id;
		store_claim_clear(&c);
	}
}

/* Nobody waits for these one by one, as a commit is shared by many. */
static void
finish(const uint64_t *ids, int size, int n)
{
	struct store_finish *f = mem_array((size_t)n, sizeof(*f));
	struct store_run run = {
	    .outcome = "done", .started_unix_ms = clock_unix_ms()};
	int i;

	for (i = 0; i < n; i++) {
		(void)memset(&f[i], 0, sizeof(f[i]));
		f[i].job_id = ids[i];
		f[i].state = STORE_DONE;
		f[i].run = &run;
		collect(&f[i].op, STORE_OP_FINISH);
		if ((i + 1) % size == 0)
			store_submit_all(store, &batch);
		if ((i + 1) % IN_FLIGHT == 0)
			wait_all();
	}
	wait_all();
	free(f);
}

/* One turn of one size of batches. */
static void
turn(struct str body, int size, int n, size_t round, struct part *parts)
{
	static int script;
	uint64_t *ids = mem_array((size_t)n, sizeof(*ids));
	struct mark since;
	char name[24];

	(void)snprintf(name, sizeof(name), "script-%d", ++script);
	settle();
	since = start();
	append(body, name, size, n);
	end(since, n, round, &parts[APPEND]);
	since = start();
	claim(name, size, n, ids);
	end(since, n, round, &parts[CLAIM]);
	since = start();
	finish(ids, size, n);
	end(since, n, round, &parts[FINISH]);
	free(ids);
}

static void
compare(size_t bytes, const int *sizes, size_t nsizes)
{
	const size_t rounds = (size_t)measure_setting("BENCH_STORE_ROUNDS", 3);
	const int wanted = measure_setting("BENCH_STORE_DELIVERIES", 1024);
	/* Whole batches only. */
	const int n = (wanted + BATCH_MAX - 1) / BATCH_MAX * BATCH_MAX;
	double wait_us[NPARTS], spent_us[NPARTS];
	struct part parts[4][NPARTS];
	char *body = mem_zalloc(bytes + 1);
	size_t i, part, round;

	for (i = 0; i < bytes; i++)
		body[i] = (char)('a' + i % 26);
	for (i = 0; i < nsizes * NPARTS; i++) {
		parts[i / NPARTS][i % NPARTS].wait_us =
		    mem_array(rounds, sizeof(double));
		parts[i / NPARTS][i % NPARTS].cpu_us =
		    mem_array(rounds, sizeof(double));
	}
	for (round = 0; round < rounds; round++) {
		for (i = 0; i < nsizes; i++)
			turn((struct str){body, bytes}, sizes[i], n, round,
			    parts[i]);
	}

	(void)printf("\nstore, bodies of %zu bytes: us a delivery, medians of "
		     "%zu rounds of %d\n",
	    bytes, rounds, n);
	(void)printf("  %-10s %10s %8s %10s %8s %14s %10s\n", "batches of",
	    "append us", "CPU us", "claim us", "CPU us", "finish, CPU us",
	    "appends/s");
	for (i = 0; i < nsizes; i++) {
		for (part = 0; part < NPARTS; part++) {
			wait_us[part] =
			    measure_median(parts[i][part].wait_us, rounds);
			spent_us[part] =
			    measure_median(parts[i][part].cpu_us, rounds);
			free(parts[i][part].wait_us);
			free(parts[i][part].cpu_us);
		}
		(void)printf(
		    "  %-10d %10.1f %8.1f %10.1f %8.1f %14.1f %10.0f\n",
		    sizes[i], wait_us[APPEND], spent_us[APPEND], wait_us[CLAIM],
		    spent_us[CLAIM], spent_us[FINISH], 1e6 / wait_us[APPEND]);
	}
	free(body);
}

int
main(int argc, char **argv)
{
	static const int sizes[] = {1, 8, 64, 256};
	struct store_options o = {.path = argc > 1 ? argv[1] : "bench-store",
	    .dedupe_window_ms = 3600000};
	const int only = measure_setting("BENCH_STORE_BATCH", BATCH_MAX + 1);
	struct err err;
	size_t i = 0, n = NELEMS(sizes);

	while (only <= BATCH_MAX && i < NELEMS(sizes) && sizes[i] != only)
		i++;
	if (i == NELEMS(sizes))
		measure_fail("BENCH_STORE_BATCH", "is 1, 8, 64 or 256");
	if (only <= BATCH_MAX)
		n = 1;
	mem_keep(KEEP_BYTES);
	box = mailbox_create(1000);
	if (store_open(&o, &store, &err) == -1)
		measure_fail("store", err.msg);
	compare(1600, sizes + i, n);
	compare(22000, sizes + i, n);
	store_close(store);
	mailbox_free(box);
	return 0;
}
