/*
 * make bench-store: a store with a million deliveries beside one with a
 * thousand.  Appends and claims are measured on both in turns; a page of the
 * list and the opening on the large one.
 *
 *	build/release/tests/bench/million [DELIVERIES [FOLDER]]
 *
 * The folder is made beside the current one, and removed.  Exit status 1 if a
 * goal is missed: 0.9 of the speed, 50 ms, 2 s.
 */

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mailbox.h"
#include "base/mem.h"

#include "store/store.h"

#define SMALL 1000
#define GROUP 64
#define ROUNDS 31
#define ROUND_DELIVERIES 640
#define BODY 1600

struct delivery {
	struct store_append op;
	struct store_new_job job;
	char key[40];
	char order[24];
};

struct side {
	const char *name;
	char *path;
	struct store *store;
	uint64_t n; /* Delivered so far. */
	double append_us[ROUNDS];
	double claim_us[ROUNDS];
};

static struct mailbox *box;
static int waiting;

static void
done(struct store_op *op)
{
	if (op->rc == -1) {
		(void)fprintf(stderr, "million: %s\n", op->err.msg);
		exit(1);
	}
	waiting--;
}

static void
submit(struct side *side, struct store_op *op, enum store_kind kind)
{
	struct err err;

	op->kind = kind;
	op->reply_to = box;
	op->done = done;
	waiting++;
	if (store_submit(side->store, op, &err) == -1) {
		(void)fprintf(stderr, "million: %s\n", err.msg);
		exit(1);
	}
}

static void
wait_all(void)
{
	while (waiting > 0) {
		mailbox_wait(box, -1);
		mailbox_open_all(box);
	}
}

/* Append ${n} deliveries with a job for ${script} (NULL: unhandled). */
static void
append(struct side *side, const char *script, int n, int group)
{
	static struct delivery d[256];
	static char body[BODY];
	struct delivery *p;
	int i, k;

	(void)memset(body, 'x', sizeof(body));
	for (i = 0; i < n; i += group) {
		for (k = 0; k < group && i + k < n; k++) {
			p = &d[k];
			(void)memset(&p->op, 0, sizeof(p->op));
			p->op.state =
			    script == NULL ? STORE_UNHANDLED : STORE_PENDING;
			p->op.integration = "default";
			p->op.channel = p->op.resource = "issue";
			p->op.action = "created";
			p->op.request_id = "0123456789abcdef0123456789abcdef";
			p->op.headers_json =
			    STR("{\"Content-Type\":\"application/json\","
				"\"Request-ID\":"
				"\"0123456789abcdef0123456789abcdef\"}");
			p->op.body = (struct str){body, sizeof(body)};
			p->op.received_unix_ms = clock_unix_ms();
			(void)snprintf(p->key, sizeof(p->key), "key-%llu",
			    (unsigned long long)side->n++);
			p->op.dedupe_key = p->op.signature = str_of(p->key);
			(void)snprintf(p->order, sizeof(p->order), "issue-%llu",
			    (unsigned long long)side->n * 7919 % 100003);
			p->job = (struct store_new_job){
			    script, "on_issue", str_of(p->order)};
			p->op.jobs = &p->job;
			p->op.njobs = script != NULL;
			submit(side, &p->op.op, STORE_OP_APPEND);
		}
		wait_all();
	}
}

/* Claim and finish what ${script} has; every ${dead}th is dead. */
static int
run(struct side *side, const char *script, int group, int dead)
{
	static struct store_finish f[256];
	struct store_run r = {.outcome = "done", .duration_ms = 3};
	struct store_claim c;
	int n = 0;
	size_t k;

	r.started_unix_ms = clock_unix_ms();
	for (;;) {
		(void)memset(&c, 0, sizeof(c));
		c.integration = "default";
		c.script = script;
		c.max = (size_t)group;
		submit(side, &c.op, STORE_OP_CLAIM);
		wait_all();
		if (c.ret_njobs == 0)
			return n;
		for (k = 0; k < c.ret_njobs; k++) {
			(void)memset(&f[k], 0, sizeof(f[k]));
			f[k].job_id = c.ret_jobs[k]->id;
			f[k].state = dead != 0 && n % dead == 0 ? STORE_DEAD
								: STORE_DONE;
			f[k].run = &r;
			submit(side, &f[k].op, STORE_OP_FINISH);
			n++;
		}
		store_claim_clear(&c);
		wait_all();
	}
}

static double
open_ms(struct side *side)
{
	struct store_options o = {.path = side->path,
	    .dedupe_window_ms = 3600000,
	    .retain_done_ms = 7 * 24 * UINT64_C(3600000),
	    .retain_dead_ms = 30 * 24 * UINT64_C(3600000),
	    .max_bytes = UINT64_C(64) << 30,
	    .commit_ms = 1}; /* Not the wait for more is measured. */
	uint64_t start = clock_mono_ns();
	struct err err;

	if (store_open(&o, &side->store, &err) == -1) {
		(void)fprintf(stderr, "million: %s\n", err.msg);
		exit(1);
	}
	return (double)(clock_mono_ns() - start) / 1e6;
}

static void
fill(struct side *side, int n)
{
	uint64_t start = clock_mono_ns();
	int i;

	/* Of twenty: one waits, one is nobody's, the others have run. */
	for (i = 0; i < n; i += n < 5120 ? n : 5120) {
		int part = n - i < 5120 ? n - i : 5120;

		append(side, "backlog", part / 20, part / 20);
		append(side, NULL, part / 20, part / 20);
		append(side, "script", part - part / 20 * 2, 256);
		(void)run(side, "script", 256, 100);
	}
	(void)printf("%s: %llu deliveries made in %.0f s\n", side->name,
	    (unsigned long long)side->n,
	    (double)(clock_mono_ns() - start) / 1e9);
}

static void
measure(struct side *side, int round)
{
	uint64_t start = clock_mono_ns();
	int n;

	append(side, "script", ROUND_DELIVERIES, GROUP);
	side->append_us[round] =
	    (double)(clock_mono_ns() - start) / 1e3 / ROUND_DELIVERIES;
	start = clock_mono_ns();
	n = run(side, "script", GROUP, 0);
	side->claim_us[round] = (double)(clock_mono_ns() - start) / 1e3 / n;
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double
median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), by_value);
	return values[n / 2];
}

/* The time of a page; the median of some. */
static double
page_ms(struct side *side, const struct store_list *filter)
{
	double ms[11];
	struct store_list l;
	uint64_t start;
	size_t i;

	for (i = 0; i < NELEMS(ms); i++) {
		l = *filter;
		start = clock_mono_ns();
		submit(side, &l.op, STORE_OP_LIST);
		wait_all();
		ms[i] = (double)(clock_mono_ns() - start) / 1e6;
		free(l.ret_json);
	}
	return median(ms, NELEMS(ms));
}

static int
show_pages(struct side *side)
{
	struct {
		const char *what;
		struct store_list list;
	} pages[] = {
	    {"newest", {.limit = 50}},
	    {"from the middle", {.before_id = side->n / 2}},
	    {"oldest", {.before_id = 51}},
	    {"dead", {.state = "dead"}},
	    {"pending", {.state = "pending"}},
	    {"unhandled", {.state = "unhandled"}},
	    {"done", {.state = "done"}},
	    {"of a script", {.script = "backlog"}},
	    {"of a resource", {.resource = "issue", .action = "created"}},
	    {"until an hour ago", {.until_unix_ms = clock_unix_ms() - 3600000}},
	};
	int missed = 0;
	double ms;
	size_t i;

	for (i = 0; i < NELEMS(pages); i++) {
		ms = page_ms(side, &pages[i].list);
		(void)printf("page, %-18s %8.2f ms%s\n", pages[i].what, ms,
		    ms < 50 ? "" : "  MISSED: 50 ms");
		missed |= ms >= 50;
	}
	return missed;
}

static int
show_ratio(const char *what, double *small, double *large)
{
	double a = median(small, ROUNDS), b = median(large, ROUNDS);

	(void)printf("%-10s %6.1f us small, %6.1f us large: %.2f of the speed"
		     "%s\n",
	    what, a, b, a / b, a / b >= 0.9 ? "" : "  MISSED: 0.9");
	return a / b < 0.9;
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *where)
{
	(void)st;
	(void)flag;
	(void)where;
	return remove(path);
}

int
main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 1000000, missed = 0, i;
	struct side small = {.name = "small"}, large = {.name = "large"};
	char *folder =
	    mem_printf("%s/moonpost-million-XXXXXX", argc > 2 ? argv[2] : ".");
	double ms;

	if (mkdtemp(folder) == NULL) {
		perror("million");
		return 1;
	}
	box = mailbox_create(1000);
	small.path = mem_printf("%s/small", folder);
	large.path = mem_printf("%s/large", folder);
	(void)open_ms(&small);
	(void)open_ms(&large);
	fill(&small, SMALL);
	fill(&large, n);

	for (i = 0; i < ROUNDS; i++) {
		measure(&small, i);
		measure(&large, i);
	}
	missed |= show_ratio("append", small.append_us, large.append_us);
	missed |= show_ratio("claim", small.claim_us, large.claim_us);
	missed |= show_pages(&large);

	store_close(large.store);
	ms = open_ms(&large);
	(void)printf("open %.0f ms%s\n", ms, ms < 2000 ? "" : "  MISSED: 2 s");
	missed |= ms >= 2000;
	store_close(large.store);
	store_close(small.store);
	mailbox_free(box);
	if (getenv("KEEP") == NULL)
		(void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	else
		(void)printf("%s\n", folder);
	free(small.path);
	free(large.path);
	free(folder);
	return missed;
}
