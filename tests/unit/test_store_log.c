/*
 * A delivery is safe by its record in the log before it has rows: what is there
 * after a kill between the two.
 */

#include <sys/mman.h>

#include "store/store_sqlite_internal.h"

#include "unit/store_lazy.h"

TestSuite(store_log, .init = util_setup, .fini = util_teardown, .timeout = 120);

/* ---- kills ---- */

#define KILLED 3 /* Before a commit: what is to be tested. */
#define IDS 16

/* What a host that was killed has been answered. */
static struct {
	uint64_t ids[IDS];
} * answered;

/* Have ${live} done by a host that is killed after it, before any commit. */
static void
kill_after(void (*live)(void))
{
	int status;
	pid_t pid;

	answered = mmap(NULL, sizeof(*answered), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(answered, MAP_FAILED);
	do {
		util_remove(util_dir);
		pid = fork();
		cr_assert_neq(pid, -1);
		if (pid == 0) {
			open_lazy();
			atomic_store(&doomed, 1);
			live();
			_exit(KILLED);
		}
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		cr_assert(WIFEXITED(status), "status %d", status);
	} while (WEXITSTATUS(status) == COMMITS);
	cr_assert_eq(WEXITSTATUS(status), KILLED);
}

static void
live_all_kinds(void)
{
	struct util_delivery d;

	answered->ids[0] = util_add("a", "{\"n\":0}", "k");
	answered->ids[1] = util_add("a", "{\"n\":1}", "k");
	util_delivery(&d, "a", "{\"n\":2}");
	d.op.dedupe_key = STR("key");
	d.op.signature = STR("sig");
	d.op.warnings_json = STR("[\"w\"]");
	d.op.request_id = "req";
	d.op.idempotency_key = "";
	d.op.njobs = 2;
	d.jobs[1].script = "b";
	d.jobs[1].handler = "on_event";
	answered->ids[2] = util_append(&d);
	answered->ids[3] = util_append(&d);
	if (!d.op.ret_duplicate)
		_exit(1);
	util_delivery(&d, "a", "{\"bad\":1}");
	d.op.state = STORE_INVALID;
	d.op.violation_pointer = "/x";
	d.op.violation_message = "is missing";
	d.op.njobs = 0;
	answered->ids[4] = util_append(&d);
	util_delivery(&d, "a", "{\"none\":1}");
	d.op.state = STORE_UNHANDLED;
	d.op.action = NULL;
	d.op.njobs = 0;
	answered->ids[5] = util_append(&d);
	util_delivery(&d, "a", "{\"n\":6}");
	d.op.signature = STR("sig");
	answered->ids[6] = util_append(&d);
	if (d.op.ret_repeats != answered->ids[2])
		_exit(1);
}

Test(store_log, all_that_was_answered_is_there_after_a_kill)
{
	struct util_delivery d;
	struct store_claim c;
	int duplicate;

	kill_after(live_all_kinds);
	util_open();
	cr_assert_eq(ask("SELECT count(*) FROM delivery"), 6);
	cr_assert_eq(ask("SELECT max(id) FROM delivery"), answered->ids[6]);
	cr_assert_eq(answered->ids[3], answered->ids[2]);
	cr_assert_eq(
	    ask("SELECT id FROM delivery WHERE state = 6 AND pointer = '/x'"
		" AND message = 'is missing' AND request_id IS NULL"),
	    answered->ids[4]);
	cr_assert_eq(ask("SELECT id FROM delivery WHERE state = 7 AND action IS"
			 " NULL AND channel = 'issue' AND size = 10"),
	    answered->ids[5]);
	cr_assert_eq(ask("SELECT id FROM delivery WHERE request_id = 'req' AND"
			 " idempotency_key = '' AND repeats IS NULL AND"
			 " received > 1000000000000 AND state IS NULL"),
	    answered->ids[2]);
	cr_assert_eq(
	    ask("SELECT repeats FROM delivery WHERE repeats IS NOT NULL"),
	    answered->ids[2]);
	cr_assert_eq(ask("SELECT count(*) FROM job WHERE state = 8"), 1);
	check_tallies();

	/* What was seen is seen; what is new is new. */
	cr_assert_eq(add_key("c", "key", &duplicate), answered->ids[2]);
	cr_assert(duplicate);
	util_delivery(&d, "c", "{}");
	d.op.signature = STR("sig");
	cr_assert_gt(util_append(&d), answered->ids[6]);
	cr_assert_eq(d.op.ret_repeats, answered->ids[6]);

	/* The second of its key waits for the first. */
	util_claim(&c, "a", 10);
	cr_assert_eq(c.ret_njobs, 3);
	cr_assert(str_eq(c.ret_jobs[0]->body, STR("{\"n\":0}")));
	cr_assert(str_eq(c.ret_jobs[0]->order_key, STR("k")));
	cr_assert(str_eq(c.ret_jobs[1]->body, STR("{\"n\":2}")));
	cr_assert(str_eq(c.ret_jobs[1]->warnings_json, STR("[\"w\"]")));
	cr_assert(str_eq(c.ret_jobs[2]->body, STR("{\"n\":6}")));
	cr_assert_eq(util_finish(c.ret_jobs[0]->id, STORE_DONE, 0), 0);
	store_claim_clear(&c);
	(void)util_claim_one("a", &answered->ids[7]);
	cr_assert_eq(answered->ids[7], answered->ids[1]);
	cr_assert_eq(util_run_all("b", STORE_DONE), 1);
	check_tallies();

	/* And after a second opening, with nothing to make again. */
	util_close();
	util_open();
	cr_assert_eq(ask("SELECT count(*) FROM delivery"), 7);
	cr_assert_eq(util_claimable("a"), 3);
}

static void
live_with_a_claim(void)
{
	static struct store_finish f;
	static int done;
	uint64_t job;

	answered->ids[0] = util_add("a", "{\"n\":0}", "k");
	answered->ids[1] = util_add("a", "{\"n\":1}", "k");
	job = util_claim_one("a", NULL);
	finish_op(&f, job, STORE_DONE);
	submit(&f.op, STORE_OP_FINISH, &done);
	(void)util_claim_one("a", &answered->ids[2]);
	if (done)
		_exit(1);
}

Test(store_log, what_ran_when_the_host_was_killed_runs_again_in_order)
{
	uint64_t id;

	kill_after(live_with_a_claim);
	cr_assert_eq(answered->ids[2], answered->ids[1]);
	util_open();
	check_tallies();
	cr_assert_eq(ask("SELECT count(*) FROM run"), 0);
	(void)util_claim_one("a", &id);
	cr_assert_eq(id, answered->ids[0]);
	cr_assert_eq(util_claimable("a"), 0);
	cr_assert_eq(util_finish(id << SQ_JOB_BITS, STORE_DONE, 0), 0);
	(void)util_claim_one("a", &id);
	cr_assert_eq(id, answered->ids[1]);
}

/* ---- the tail ---- */

static void
live_three(void)
{
	size_t i;

	for (i = 0; i < 3; i++)
		answered->ids[i] = util_add("a", "{\"some\":\"body\"}", NULL);
}

static off_t
log_size(void)
{
	struct stat st;
	char path[256];

	path_of("bodies/00000001.seg", path);
	cr_assert_eq(stat(path, &st), 0);
	return st.st_size;
}

static void
note_end(void *cookie, uint64_t id, const struct segment_ref *ref,
    const struct segment_record *record)
{
	(void)id;
	(void)record;
	*(off_t *)cookie = (off_t)(ref->offset + ref->len);
}

/* Where its last record ends; zeros may follow. */
static off_t
log_end(void)
{
	struct err err = ERR_INIT;
	char path[256];
	off_t end = 0;

	path_of("bodies", path);
	cr_assert_eq(
	    segment_tail(path, 1, 0, note_end, &end, &err), 0, "%s", err.msg);
	return end;
}

/* The store goes on with ${n} of three, and keeps what comes then. */
static void
expect_rest(uint64_t n)
{
	struct store_counts counts;
	off_t size = log_size();

	util_open();
	util_counts(&counts, NULL);
	cr_assert_eq(counts.ret_deliveries, n);
	cr_assert_lt(log_size(), size, "what is not whole is cut");
	cr_assert_eq(util_add("a", "{\"new\":1}", NULL), n + 1);
	util_close();
	util_open();
	util_counts(&counts, NULL);
	cr_assert_eq(counts.ret_deliveries, n + 1);
	cr_assert_eq(util_run_all("a", STORE_DONE), n + 1);
	check_tallies();
}

Test(store_log, a_torn_record_ends_the_log)
{
	char path[256];

	kill_after(live_three);
	path_of("bodies/00000001.seg", path);
	cr_assert_eq(truncate(path, log_end() - 1), 0);
	expect_rest(2);
}

Test(store_log, a_damaged_record_ends_the_log)
{
	char path[256], c;
	off_t at;
	int fd;

	kill_after(live_three);
	path_of("bodies/00000001.seg", path);
	at = log_end() / 3 + SEGMENT_HEADER + 12; /* All are as long. */
	fd = open(path, O_RDWR);
	cr_assert_eq(pread(fd, &c, 1, at), 1);
	c ^= 1;
	cr_assert_eq(pwrite(fd, &c, 1, at), 1);
	(void)close(fd);
	expect_rest(1);
}

/* Put a record of delivery ${id} into a segment, as the store does. */
static void
craft(struct segment *seg, uint64_t id, const char *key)
{
	struct seen_entry entry = seen_hash(str_of(key), STR(""));
	struct segment_record record;
	struct util_delivery d;
	struct segment_ref ref;
	struct err err = ERR_INIT;

	util_delivery(&d, "a", key);
	d.op.idempotency_key = key;
	record = (struct segment_record){d.op.headers_json, STR(""), d.op.body,
	    sq_row_pack(&d.op, &entry), NULL};
	cr_assert_eq(
	    segment_put(seg, id, &record, &ref, &err), 0, "%s", err.msg);
	cr_assert_eq(segment_sync(seg, &err), 0, "%s", err.msg);
	free((char *)(uintptr_t)record.row.data);
}

/* A store without deliveries, and its log. */
static struct segment *
open_log(void)
{
	struct err err = ERR_INIT;
	struct segment *seg;
	char path[256];

	util_open();
	util_close();
	path_of("bodies", path);
	cr_assert_eq(
	    segment_open(path, 64 << 20, 0, 0, &seg, &err), 0, "%s", err.msg);
	return seg;
}

Test(store_log, what_was_given_up_and_came_again_is_there_once)
{
	struct segment *seg = open_log();
	int duplicate;

	/* The disk refused to cut the first three off. */
	craft(seg, 1, "x");
	craft(seg, 2, "y");
	craft(seg, 3, "z");
	segment_roll(seg);
	craft(seg, 1, "z");
	craft(seg, 2, "x");
	segment_close(seg);
	util_open();
	cr_assert_eq(ask("SELECT count(*) FROM delivery"), 2);
	cr_assert_eq(
	    ask("SELECT id FROM delivery WHERE idempotency_key = 'z'"), 1);
	cr_assert_eq(
	    ask("SELECT id FROM delivery WHERE idempotency_key = 'x'"), 2);
	check_tallies();
	cr_assert_eq(add_key("a", "y", &duplicate), 3);
	cr_assert_not(duplicate);
	cr_assert_eq(add_key("a", "x", &duplicate), 2);
	cr_assert(duplicate);
	cr_assert_eq(util_run_all("a", STORE_DONE), 3);
}

Test(store_log, what_retention_has_dropped_does_not_come_back)
{
	struct store_options o = util_options();
	static char body[300001];
	struct store_counts n;
	char path[256], again[256];
	uint64_t id;

	(void)memset(body, ' ', sizeof(body) - 1);
	o.retain_done_ms = 1;
	o.segment_bytes = 1;
	util_open_with(&o);
	(void)util_add("a", body, NULL);
	path_of("bodies/00000001.seg", path);
	path_of("bodies/00000009.seg", again);
	cr_assert_eq(link(path, again), 0);
	(void)util_add("a", body, NULL);
	(void)util_run_all("a", STORE_DONE);
	do {
		(void)usleep(1000);
		util_counts(&n, NULL);
	} while (n.ret_deliveries > 0);
	util_close();

	/* A file that should be gone, behind the last that is known. */
	util_open_with(&o);
	util_counts(&n, NULL);
	cr_assert_eq(n.ret_deliveries, 0);
	cr_assert_eq(access(again, F_OK), -1);
	id = util_add("a", "{}", NULL);
	cr_assert_eq(id, 3);
	cr_assert_eq(util_claimable("a"), 1);
}

Test(store_log, a_record_of_another_version_is_told_and_left_alone)
{
	static const struct segment_record record = {
	    {"{}", 2}, {NULL, 0}, {"{}", 2}, {"\2", 1}, NULL};
	struct store_options o = util_options();
	struct segment *seg = open_log();
	struct segment_ref ref;
	struct err err = ERR_INIT;
	off_t size;

	craft(seg, 1, "x");
	cr_assert_eq(segment_put(seg, 2, &record, &ref, &err), 0);
	cr_assert_eq(segment_sync(seg, &err), 0);
	segment_close(seg);
	size = log_size();
	cr_assert_eq(store_open(&o, &util_store, &err), -1);
	util_store = NULL;
	cr_assert_eq(err.code, ERR_INVALID);
	cr_assert_not_null(strstr(err.msg, "another version"), "%s", err.msg);
	cr_assert_eq(log_size(), size);
}

Test(store_log, a_record_without_rows_is_none)
{
	static const struct segment_record record = {
	    {"{}", 2}, {NULL, 0}, {"{}", 2}, {NULL, 0}, NULL};
	struct segment *seg = open_log();
	struct segment_ref ref;
	struct err err = ERR_INIT;

	cr_assert_eq(segment_put(seg, 1, &record, &ref, &err), 0);
	cr_assert_eq(segment_sync(seg, &err), 0);
	segment_close(seg);
	util_open();
	cr_assert_eq(ask("SELECT count(*) FROM delivery"), 0);
	cr_assert_eq(util_add("a", "{}", NULL), 1);
}

Test(store_log, a_disk_that_refuses_at_the_opening_loses_nothing)
{
	struct store_options o = util_options();
	struct err err = ERR_INIT;
	rlim_t size;

	(void)signal(SIGXFSZ, SIG_IGN);
	kill_after(live_three);
	/* Wherever it is that it refuses. */
	for (size = 0;; size += 1024) {
		limit_files(size);
		err = (struct err)ERR_INIT;
		if (store_open(&o, &util_store, &err) == 0)
			break;
		util_store = NULL;
		cr_assert_eq(err.code, ERR_UNAVAILABLE, "%s", err.msg);
		cr_assert_lt(size, 1 << 20);
	}
	cr_assert_gt(size, 0);
	limit_files(RLIM_INFINITY);
	cr_assert_eq(ask("SELECT count(*) FROM delivery"), 3);
	check_tallies();
	cr_assert_eq(util_run_all("a", STORE_DONE), 3);
}

static int points_left;

static void
die_at_point(const char *point)
{
	(void)point;
	if (--points_left == 0)
		_exit(KILLED);
}

/* Open it in a process that is killed at a point of that.  Returns 0 if there
 * are not that many. */
static int
die_while_opening(int after)
{
	int status;
	pid_t pid;

	pid = fork();
	cr_assert_neq(pid, -1);
	if (pid == 0) {
		points_left = after;
		store_fault_hook = die_at_point;
		util_open();
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status), "status %d", status);
	return WEXITSTATUS(status) == KILLED;
}

Test(store_log, a_kill_while_the_rows_are_made_again_loses_nothing)
{
	int after;

	/* Before the commit, in it, and behind it. */
	for (after = 1; after <= 3; after++) {
		kill_after(live_all_kinds);
		cr_assert(die_while_opening(after));
		util_open();
		cr_assert_eq(ask("SELECT count(*) FROM delivery"), 6);
		cr_assert_eq(
		    ask("SELECT max(id) FROM delivery"), answered->ids[6]);
		check_tallies();
		util_close();
	}
}

Test(store_log, a_long_log_of_several_files_is_gone_through_in_order)
{
	struct segment *seg = open_log();
	struct store_counts n;
	char key[32];
	uint64_t id;

	for (id = 1; id <= 900; id++) {
		(void)snprintf(
		    key, sizeof(key), "%llu", (unsigned long long)id);
		craft(seg, id, key);
		if (id % 300 == 0)
			segment_roll(seg);
		/* What was given up behind it. */
		if (id == 600) {
			craft(seg, 601, "given up");
			craft(seg, 602, "given up, too");
			segment_roll(seg);
		}
	}
	segment_close(seg);
	util_open();
	util_counts(&n, NULL);
	cr_assert_eq(n.ret_deliveries, 900);
	cr_assert_eq(ask("SELECT count(*) FROM delivery"
			 " WHERE idempotency_key = id"),
	    900);
	check_tallies();
	cr_assert_eq(util_run_all("a", STORE_DONE), 900);
	util_close();
	util_open();
	cr_assert_eq(util_add("a", "{}", NULL), 901);
}

/* The lowest descriptor behind which all are free; what is free below it is
 * taken. */
static int
first_free(void)
{
	int fd, last = -1, most = 0;

	for (fd = 0; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) != -1)
			most = fd;
	while (last <= most) {
		last = open("/dev/null", O_RDONLY);
		cr_assert_neq(last, -1);
	}
	(void)close(last);
	return last;
}

Test(store_log, a_log_that_cannot_be_read_is_not_cut)
{
	struct store_options o = util_options();
	struct rlimit all, few;
	struct err err = ERR_INIT;
	int first, tries;

	kill_after(live_three);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &all), 0);
	few = all;
	first = first_free();
	/* Wherever it is, behind the two mailboxes, that there are too many
	 * open files. */
	for (tries = 2; tries < 64; tries++) {
		few.rlim_cur = (rlim_t)(first + tries);
		cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
		err = (struct err)ERR_INIT;
		if (store_open(&o, &util_store, &err) == 0)
			break;
		util_store = NULL;
		cr_assert_eq(err.code, ERR_UNAVAILABLE, "%s", err.msg);
	}
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &all), 0);
	cr_assert(tries > 3 && tries < 64, "%d", tries);
	cr_assert_eq(ask("SELECT count(*) FROM delivery"), 3);
}

static void
live_due(void)
{
	struct util_delivery due, other;

	rows_die();
	append_due(&due, &other);
	if (due.op.op.rc == 0 || other.op.op.rc != 0)
		_exit(1);
	answered->ids[0] = other.op.ret_id;
}

Test(store_log, a_schedule_that_a_kill_cut_off_comes_again)
{
	struct util_delivery due;

	kill_after(live_due);
	util_open();
	cr_assert_eq(ask("SELECT id FROM delivery"), answered->ids[0]);
	util_delivery(&due, "a", "{}");
	due.op.schedule = "nightly";
	due.op.schedule_script = "a";
	due.op.due_unix_s = 1000;
	(void)util_append(&due);
	cr_assert_not(due.op.ret_duplicate);
	cr_assert_eq(util_claimable("a"), 1);
	cr_assert_eq(util_claimable("b"), 1);
}
