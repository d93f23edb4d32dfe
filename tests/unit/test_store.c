#include <sys/mount.h>
#include <sys/resource.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>

#include "store_util.h"

#include "store/seen.h"
#include "store/store_internal.h"

TestSuite(store, .init = util_setup, .fini = util_teardown, .timeout = 120);

/* ---- open ---- */

static enum err_code
open_refused(const struct store_options *o, const char *says)
{
	struct err err = ERR_INIT;

	cr_assert_eq(store_open(o, &util_store, &err), -1);
	cr_assert_not_null(strstr(err.msg, says), "%s", err.msg);
	util_store = NULL;
	return err.code;
}

static void
path_of(const char *name, char path[static 256])
{
	(void)snprintf(path, 256, "%s/%s", util_dir, name);
}

Test(store, makes_its_folder_and_keeps_it_private)
{
	struct store_options o = util_options();
	char path[256];
	struct stat st;

	path_of("a", path);
	o.path = path;
	util_open_with(&o);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0700);
	(void)strcat(path, "/moonpost.db");
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	util_close();
}

Test(store, a_second_host_is_refused_with_the_pid_of_the_first)
{
	struct store_options o = util_options();
	char pid[32];

	util_open();
	(void)snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
	{
		struct store *first = util_store;

		cr_assert_eq(open_refused(&o, pid), ERR_UNAVAILABLE);
		util_store = first;
	}
	(void)util_add("s", "{}", NULL);
	util_close();
	util_open();
}

Test(store, a_folder_that_cannot_be_made_is_told)
{
	struct store_options o = util_options();

	o.path = "/proc/no/such/folder";
	cr_assert_eq(open_refused(&o, "/proc/no"), ERR_UNAVAILABLE);
}

Test(store, a_damaged_database_is_told_with_what_to_do)
{
	struct store_options o = util_options();
	char path[256], junk[8192];
	int fd;

	path_of("moonpost.db", path);
	(void)memset(junk, 'x', sizeof(junk));
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	cr_assert_eq(write(fd, junk, sizeof(junk)), sizeof(junk));
	(void)close(fd);
	cr_assert_eq(open_refused(&o, "damaged"), ERR_INVALID);
	cr_assert_eq(open_refused(&o, "move the folder away"), ERR_INVALID);
}

Test(store, a_newer_version_is_refused)
{
	struct store_options o = util_options();
	char path[256];
	sqlite3 *db;

	util_open();
	util_close();
	path_of("moonpost.db", path);
	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	cr_assert_eq(
	    sqlite3_exec(db, "PRAGMA user_version = 999", NULL, NULL, NULL),
	    SQLITE_OK);
	(void)sqlite3_close(db);
	cr_assert_eq(open_refused(&o, "newer moonpost"), ERR_INVALID);
}

Test(store, names_of_states_go_both_ways)
{
	enum store_state s;
	int i;

	for (i = STORE_PENDING; i <= STORE_UNHANDLED; i++) {
		cr_assert_eq(store_state_parse(
				 store_state_name((enum store_state)i), &s),
		    0);
		cr_assert_eq((int)s, i);
	}
	cr_assert_eq(store_state_parse("alive", &s), -1);
}

Test(store, closing_nothing_is_fine)
{
	store_close(NULL);
}

/* ---- append ---- */

Test(store, ids_grow_and_are_not_used_again)
{
	struct store_options o = util_options();
	struct store_counts n;
	uint64_t last = 0, id;
	int i;

	o.retain_done_ms = 1;
	util_open_with(&o);
	for (i = 0; i < 20; i++) {
		id = util_add("s", "{}", NULL);
		cr_assert_gt(id, last);
		last = id;
	}
	(void)util_run_all("s", STORE_DONE);
	do {
		(void)usleep(1000);
		util_counts(&n, NULL);
	} while (n.ret_deliveries > 0);
	util_close();
	util_open();
	cr_assert_gt(util_add("s", "{}", NULL), last);
}

Test(store, a_body_may_be_empty_or_large_or_binary)
{
	char *big = mem_alloc(3 << 20);
	struct util_delivery d;
	struct store_claim c;
	size_t i;

	util_open();
	for (i = 0; i < 3 << 20; i++)
		big[i] = (char)(i * 7 + i / 251);
	util_delivery(&d, "s", "");
	(void)util_append(&d);
	util_delivery(&d, "s", "");
	d.op.body = (struct str){big, 3 << 20};
	(void)util_append(&d);
	util_claim(&c, "s", 2);
	cr_assert_eq(c.ret_jobs[0]->body.len, 0);
	cr_assert(str_eq(c.ret_jobs[1]->body, d.op.body));
	store_claim_clear(&c);
	free(big);
}

Test(store, what_makes_no_sense_is_refused_alone)
{
	struct util_delivery d;

	util_open();
	util_delivery(&d, "s", "{}");
	d.op.njobs = 0;
	cr_assert_eq(util_do(&d.op.op, STORE_OP_APPEND), -1);
	cr_assert_eq(d.op.op.err.code, ERR_INVALID);
	d.op.state = STORE_DONE;
	cr_assert_eq(util_do(&d.op.op, STORE_OP_APPEND), -1);
	d.op.state = STORE_INVALID;
	d.op.njobs = 1;
	cr_assert_eq(util_do(&d.op.op, STORE_OP_APPEND), -1);
	cr_assert(store_usable(util_store));
}

/* ---- duplicates ---- */

/* Append with a key; returns the id, with the top bit set if a duplicate. */
static int64_t
add_key(const char *key, const char *signature)
{
	struct util_delivery d;
	int64_t id;

	util_delivery(&d, "s", "{}");
	d.op.dedupe_key = str_of(key);
	d.op.signature = str_of(signature);
	id = (int64_t)util_append(&d);
	return d.op.ret_duplicate ? -id : id;
}

Test(store, the_same_key_is_a_duplicate)
{
	util_open();
	cr_assert_eq(add_key("a", NULL), 1);
	cr_assert_eq(add_key("b", NULL), 2);
	cr_assert_eq(add_key("a", NULL), -1);
	cr_assert_eq(add_key("", NULL), 3);
	cr_assert_eq(add_key("", NULL), 4);
	cr_assert_eq(util_claimable("s"), 4);
	util_close();
	util_open();
	cr_assert_eq(add_key("b", NULL), -2);
	cr_assert_eq(add_key("a", NULL), -1);
	cr_assert_eq(add_key("c", NULL), 5);
}

Test(store, a_key_is_forgotten_after_its_window)
{
	struct store_options o = util_options();
	uint64_t until;

	o.dedupe_window_ms = 50;
	util_open_with(&o);
	until = clock_unix_ms() + 50;
	cr_assert_eq(add_key("a", NULL), 1);
	while (add_key("a", NULL) == -1)
		(void)usleep(5000);
	cr_assert_geq(clock_unix_ms(), until);
	util_close();

	/* 0: nothing is remembered. */
	o.dedupe_window_ms = 0;
	util_open_with(&o);
	cr_assert_eq(add_key("b", NULL), 3);
	cr_assert_eq(add_key("b", NULL), 4);
}

Test(store, a_key_outlives_its_delivery)
{
	struct store_options o = util_options();
	struct store_counts n;

	o.retain_done_ms = 1;
	util_open_with(&o);
	cr_assert_eq(add_key("a", "sig"), 1);
	(void)util_run_all("s", STORE_DONE);
	do {
		(void)usleep(1000);
		util_counts(&n, NULL);
	} while (n.ret_deliveries > 0);
	cr_assert_eq(add_key("a", "sig"), -1);
	util_close();
	util_open();
	cr_assert_eq(add_key("a", "sig"), -1);
	cr_assert_eq(add_key("b", "sig"), 2);
}

Test(store, thousands_of_keys_are_told_apart)
{
	char key[32];
	int64_t i;

	util_open();
	for (i = 1; i <= 3000; i++) {
		(void)snprintf(key, sizeof(key), "key-%lld", (long long)i);
		cr_assert_eq(add_key(key, key), i);
	}
	util_close();
	util_open();
	for (i = 1; i <= 3000; i += 7) {
		(void)snprintf(key, sizeof(key), "key-%lld", (long long)i);
		cr_assert_eq(add_key(key, key), -i);
	}
}

Test(store, windows_end_by_the_clock)
{
	struct seen *seen = seen_create(10000);
	struct seen_entry e, f;

	e = seen_hash(STR("k"), STR("s"));
	f = seen_hash(STR("l"), STR("s"));
	seen_advance(seen, 1000000, 5);
	e.id = 5;
	seen_add(seen, &e);
	cr_assert_eq(seen_by_key(seen, &e), 5);
	cr_assert_eq(seen_by_key(seen, &f), 0);
	cr_assert_eq(seen_by_signature(seen, &f), 5);
	seen_advance(seen, 1005000, 6);
	f.id = 6;
	seen_add(seen, &f);
	seen_advance(seen, 1009000, 7);
	cr_assert_eq(seen_by_key(seen, &e), 5);

	/* A clock that is set back forgets nothing. */
	seen_advance(seen, 900000, 7);
	cr_assert_eq(seen_by_key(seen, &e), 5);
	seen_advance(seen, 1010100, 7);
	cr_assert_eq(seen_by_key(seen, &e), 0);
	cr_assert_eq(seen_by_key(seen, &f), 6);
	seen_forget(seen, &f);
	cr_assert_eq(seen_by_key(seen, &f), 0);
	cr_assert_eq(seen_by_signature(seen, &f), 0);
	seen_free(seen);
}

/* ---- many at once ---- */

#define SUBMITTERS 4
#define EACH 500

struct submitter {
	pthread_t thread;
	struct mailbox *box;
	struct util_delivery deliveries[EACH];
	char keys[EACH][24];
	int done;
	int bad;
	int base;
};

static void
count_done(struct store_op *op)
{
	struct submitter *s = op->cookie;

	s->done++;
	s->bad += op->rc != 0;
}

static void *
submit_all(void *cookie)
{
	struct submitter *s = cookie;
	struct util_delivery *d;
	struct err err;
	int i;

	for (i = 0; i < EACH; i++) {
		d = &s->deliveries[i];
		util_delivery(d, i % 3 == 0 ? "a" : "b", "{\"n\":1}");
		(void)snprintf(
		    s->keys[i], sizeof(s->keys[i]), "k%d", s->base + i);
		d->op.dedupe_key = str_of(s->keys[i]);
		d->jobs[0].order_key = str_of(s->keys[i]);
		d->op.op.kind = STORE_OP_APPEND;
		d->op.op.reply_to = s->box;
		d->op.op.done = count_done;
		d->op.op.cookie = s;
		while (store_submit(util_store, &d->op.op, &err) == -1)
			(void)usleep(100);
	}
	while (s->done < EACH) {
		mailbox_wait(s->box, 1000);
		mailbox_open_all(s->box);
	}
	return NULL;
}

Test(store, several_threads_may_submit)
{
	static struct submitter all[SUBMITTERS];
	struct store_counts n;
	int i, j, duplicates = 0;

	util_open();
	for (i = 0; i < SUBMITTERS; i++) {
		all[i].box = mailbox_create(16);
		all[i].base = i * EACH / 2; /* Half of the keys twice. */
		cr_assert_eq(
		    pthread_create(&all[i].thread, NULL, submit_all, &all[i]),
		    0);
	}
	for (i = 0; i < SUBMITTERS; i++) {
		(void)pthread_join(all[i].thread, NULL);
		cr_assert_eq(all[i].bad, 0);
		for (j = 0; j < EACH; j++)
			duplicates += all[i].deliveries[j].op.ret_duplicate;
		mailbox_free(all[i].box);
	}
	util_counts(&n, NULL);
	cr_assert_eq(
	    n.ret_deliveries + (uint64_t)duplicates, SUBMITTERS * EACH);
	cr_assert_eq(n.ret_deliveries, (SUBMITTERS + 1) * EACH / 2);
	cr_assert_eq(
	    util_run_all("a", STORE_DONE) + util_run_all("b", STORE_DONE),
	    n.ret_deliveries);
}

static void
slow_down(const char *point)
{
	if (strcmp(point, "sync: begin") == 0)
		(void)usleep(20000);
}

Test(store, too_many_that_wait_are_refused_but_a_finish_is_not)
{
	struct store_options o = util_options();
	struct util_delivery d[8];
	struct store_finish f;
	struct submitter s;
	struct err err;
	int i, refused = 0;

	o.queue_max = 3;
	store_fault_hook = slow_down;
	util_open_with(&o);
	(void)memset(&s, 0, sizeof(s));
	for (i = 0; i < 8; i++) {
		util_delivery(&d[i], "s", "{}");
		d[i].op.op.reply_to = util_box;
		d[i].op.op.done = count_done;
		d[i].op.op.cookie = &s;
		d[i].op.op.kind = STORE_OP_APPEND;
		if (store_submit(util_store, &d[i].op.op, &err) == -1) {
			cr_assert_eq(err.code, ERR_UNAVAILABLE);
			refused++;
		}
	}
	cr_assert_eq(refused, 5);
	(void)memset(&f, 0, sizeof(f));
	f.job_id = 1;
	cr_assert_eq(util_do(&f.op, STORE_OP_FINISH), -1);
	cr_assert_eq(f.op.err.code, ERR_NOT_FOUND);
	util_close(); /* All that was submitted comes back. */
	cr_assert_eq(s.done, 3);
	cr_assert_eq(s.bad, 0);
}

/* ---- the disk refuses ---- */

/* Let no file grow beyond ${bytes}. */
static void
limit_files(rlim_t bytes)
{
	struct rlimit limit;

	(void)signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Append until it is refused; returns how many were taken. */
static int
append_until_refused(size_t body_len)
{
	char *body = mem_zalloc(body_len);
	struct util_delivery d;
	int n = 0;

	(void)memset(body, '1', body_len);
	for (;;) {
		util_delivery(&d, "s", "");
		d.op.body = (struct str){body, body_len};
		if (util_do(&d.op.op, STORE_OP_APPEND) == -1)
			break;
		cr_assert_lt(++n, 100000);
	}
	cr_assert_eq(d.op.op.err.code, ERR_UNAVAILABLE, "%s", d.op.op.err.msg);
	free(body);
	return n;
}

static void
expect_recovery(int taken)
{
	struct store_counts n;
	int tries;

	/* The probe finds out by itself. */
	for (tries = 0; !store_usable(util_store); tries++) {
		cr_assert_lt(tries, 1000);
		(void)usleep(10000);
	}
	(void)util_add("s", "{}", NULL);
	util_counts(&n, NULL);
	cr_assert_eq(n.ret_deliveries, (uint64_t)taken + 1);
	util_close();
	util_open();
	cr_assert_eq(util_run_all("s", STORE_DONE), (size_t)taken + 1);
}

Test(store, a_segment_that_cannot_grow_is_an_error_until_it_can)
{
	int taken;

	util_open();
	limit_files(2 << 20);
	taken = append_until_refused(50000);
	cr_assert_gt(taken, 10);
	cr_assert(!store_usable(util_store));

	/* Nothing that was taken is missing, and what reads goes on. */
	cr_assert_eq(util_claimable("s"), (size_t)taken);
	util_close();
	util_open();
	(void)append_until_refused(50000);
	limit_files(RLIM_INFINITY);
	expect_recovery(taken);
}

Test(store, rows_that_cannot_be_written_are_an_error_until_they_can)
{
	int taken;

	util_open();
	limit_files(800000);
	taken = append_until_refused(10);
	cr_assert_gt(taken, 5);
	cr_assert(!store_usable(util_store));
	limit_files(RLIM_INFINITY);
	expect_recovery(taken);
}

/* A small disk that goes with this process; 0 if we may not have one. */
static int
mount_disk(char path[static 256], const char *size)
{
	path_of("disk", path);
	cr_assert_eq(mkdir(path, 0700), 0);
	return unshare(CLONE_NEWNS) == 0 &&
	       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("none", path, "tmpfs", 0, size) == 0;
}

Test(store, a_full_disk_is_an_error_until_there_is_room)
{
	struct store_options o = util_options();
	char path[256], ballast[300], junk[4096];
	int fd, taken;

	/* What is put aside is as much as the log of the rows may take. */
	if (!mount_disk(path, "size=9m"))
		return; /* It takes root. */
	(void)snprintf(ballast, sizeof(ballast), "%s/ballast", path);
	fd = open(ballast, O_WRONLY | O_CREAT, 0600);
	(void)memset(junk, 'x', sizeof(junk));
	for (taken = 0; taken < 1024; taken++)
		cr_assert_eq(write(fd, junk, sizeof(junk)), sizeof(junk));
	(void)close(fd);
	o.path = path;
	util_open_with(&o);
	taken = append_until_refused(20000);
	cr_assert(!store_usable(util_store));
	cr_assert_eq(util_claimable("s"), (size_t)taken);
	cr_assert_eq(unlink(ballast), 0);
	for (fd = 0; !store_usable(util_store); fd++) {
		cr_assert_lt(fd, 1000);
		(void)usleep(10000);
	}
	(void)util_add("s", "{}", NULL);
	util_close();
	util_open_with(&o);
	cr_assert_eq(util_run_all("s", STORE_DONE), (size_t)taken + 1);
	util_close();
	cr_assert_eq(umount(path), 0);
}

Test(store, a_disk_that_became_read_only_is_an_error)
{
	struct store_options o = util_options();
	char path[256];

	if (!mount_disk(path, "size=20m"))
		return;
	o.path = path;
	util_open_with(&o);
	(void)util_add("s", "{}", NULL);
	util_close();
	cr_assert_eq(
	    mount("none", path, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	cr_assert_eq(open_refused(&o, path), ERR_UNAVAILABLE);
	cr_assert_eq(umount(path), 0);
}

/* ---- damage ---- */

Test(store, a_damaged_body_is_an_error_of_its_job)
{
	struct store_counts n;
	struct store_claim c;
	char path[256];
	int fd;

	util_open();
	(void)util_add("s", "{\"first\":1}", NULL);
	(void)util_add("s", "{\"second\":1}", NULL);
	path_of("bodies/00000001.seg", path);
	fd = open(path, O_WRONLY);
	cr_assert_eq(pwrite(fd, "XX", 2, 45), 2);
	(void)close(fd);
	util_claim(&c, "s", 10);
	cr_assert_eq(c.ret_njobs, 1);
	cr_assert_eq(c.ret_nburied, 1);
	cr_assert_not_null(strstr(c.ret_buried.msg, "delivery 1 is damaged"));
	cr_assert(str_eq(c.ret_jobs[0]->body, STR("{\"second\":1}")));
	store_claim_clear(&c);
	util_counts(&n, "s");
	cr_assert_eq(n.ret_jobs[STORE_DEAD], 1);
	cr_assert_eq(n.ret_jobs[STORE_RUNNING], 1);
}

Test(store, a_missing_segment_is_an_error_of_its_jobs)
{
	struct store_options o = util_options();
	static char large[300001];
	struct store_counts n;
	char path[256];

	(void)memset(large, ' ', sizeof(large) - 1);
	o.segment_bytes = 1;
	util_open_with(&o);
	(void)util_add("s", "{}", "k");
	(void)util_add("s", large, "k");
	(void)util_add("s", "{}", "k");
	util_close();
	path_of("bodies/00000001.seg", path);
	cr_assert_eq(unlink(path), 0);
	path_of("bodies/00000002.seg", path);
	cr_assert_eq(access(path, F_OK), 0);
	util_open();
	cr_assert_eq(util_claimable("s"), 1);
	util_counts(&n, "s");
	cr_assert_eq(n.ret_jobs[STORE_DEAD], 2);
}

Test(store, what_cannot_be_opened_for_now_fails_no_job)
{
	struct rlimit all, few;
	struct store_counts n;
	struct store_claim c;

	util_open();
	(void)util_add("s", "{}", NULL);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &all), 0);
	few = all;
	few.rlim_cur = 0;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	(void)memset(&c, 0, sizeof(c));
	c.integration = "default";
	c.script = "s";
	c.max = 10;
	cr_assert_eq(util_do(&c.op, STORE_OP_CLAIM), -1);
	cr_assert_eq(c.op.err.code, ERR_UNAVAILABLE, "%s", c.op.err.msg);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &all), 0);
	(void)util_add("s", "{}", NULL); /* That was no failure to write. */
	util_counts(&n, "s");
	cr_assert_eq(n.ret_jobs[STORE_PENDING], 2);
	cr_assert_eq(util_claimable("s"), 2);
}

/* ---- a database that is gone ---- */

Test(store, bodies_are_kept_where_their_database_is_missing)
{
	struct store_options o = util_options();
	char path[256];

	util_open();
	(void)util_add("s", "{}", NULL);
	util_close();
	path_of("moonpost.db", path);
	cr_assert_eq(truncate(path, 0), 0);
	cr_assert_eq(open_refused(&o, "put back a copy"), ERR_INVALID);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(open_refused(&o, "put back a copy"), ERR_INVALID);
	path_of("bodies/00000001.seg", path);
	cr_assert_eq(access(path, F_OK), 0);
	cr_assert_eq(unlink(path), 0);
	util_open();
}

/* ---- crashes ---- */

static int points_left;
static int report_fd;

static void
die_at_point(const char *point)
{
	(void)point;
	if (--points_left == 0)
		(void)kill(getpid(), SIGKILL);
}

static void
report(struct store_op *op)
{
	struct store_append *a = CONTAINER_OF(op, struct store_append, op);

	/* What this says has been answered, and must be there. */
	if (op->rc == 0)
		cr_assert_eq(
		    write(report_fd, &a->ret_id, sizeof(a->ret_id)), 8);
	free(CONTAINER_OF(a, struct util_delivery, op));
}

/* A host that takes and finishes deliveries until it dies. */
static void
doomed_host(int fd, int after)
{
	struct store_claim c;
	struct err err;
	size_t i;
	int n;

	report_fd = fd;
	points_left = after;
	util_box = mailbox_create(100);
	store_fault_hook = die_at_point;
	util_open();
	for (n = 0; n < 100; n++) {
		for (i = 0; i < 5; i++) {
			struct util_delivery *d = mem_alloc(sizeof(*d));

			util_delivery(d, "s", "{\"some\":\"body\"}");
			d->jobs[0].order_key = i == 0 ? STR("k") : STR("");
			d->op.op.kind = STORE_OP_APPEND;
			d->op.op.reply_to = util_box;
			d->op.op.done = report;
			if (store_submit(util_store, &d->op.op, &err) == -1)
				_exit(3);
		}
		util_claim(&c, "s", 3);
		for (i = 0; i < c.ret_njobs; i++)
			(void)util_finish(c.ret_jobs[i]->id,
			    i == 0 ? STORE_DEAD : STORE_DONE, 0);
		store_claim_clear(&c);
	}
	_exit(2);
}

Test(store, nothing_answered_is_missing_after_a_kill)
{
	struct store_counts n;
	uint64_t id, answered, rows;
	int ends[2], status, after, fd;
	char path[256];
	sqlite3 *db;
	pid_t pid;

	for (after = 1; after < 90; after += after < 12 ? 1 : 7) {
		cr_assert_eq(pipe(ends), 0);
		pid = fork();
		if (pid == 0) {
			(void)close(ends[0]);
			doomed_host(ends[1], after);
		}
		(void)close(ends[1]);
		answered = 0;
		while (read(ends[0], &id, sizeof(id)) == sizeof(id))
			answered = id;
		(void)close(ends[0]);
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		cr_assert(WIFSIGNALED(status), "status %d", status);

		/* A write that was torn by the crash. */
		path_of("moonpost.db-wal", path);
		fd = open(path, O_WRONLY | O_APPEND);
		if (fd != -1) {
			cr_assert_eq(write(fd, "torn", 4), 4);
			(void)close(fd);
		}
		util_open();
		util_counts(&n, NULL);
		cr_assert_geq(n.ret_deliveries, answered);
		cr_assert_eq(n.ret_jobs[STORE_RUNNING], 0);

		/* The counts are what the rows say. */
		path_of("moonpost.db", path);
		cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
		{
			sqlite3_stmt *stmt;

			cr_assert_eq(sqlite3_prepare_v2(db,
					 "SELECT count(*) FROM job WHERE"
					 " state IN (0, 8)",
					 -1, &stmt, NULL),
			    SQLITE_OK);
			cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
			rows = (uint64_t)sqlite3_column_int64(stmt, 0);
			(void)sqlite3_finalize(stmt);
		}
		(void)sqlite3_close(db);
		cr_assert_eq(n.ret_jobs[STORE_PENDING], rows);
		cr_assert_eq(n.ret_jobs[STORE_PENDING] +
				 n.ret_jobs[STORE_DEAD] +
				 n.ret_jobs[STORE_DONE],
		    n.ret_deliveries);
		util_close();
	}

	/* And each can be run, with its body. */
	util_open();
	util_counts(&n, NULL);
	cr_assert_eq(util_run_all("s", STORE_DONE), n.ret_jobs[STORE_PENDING]);
}
