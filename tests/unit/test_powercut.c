/*
 * Power cuts: whatever the disk had not been told to sync may be lost, kept, or
 * half there.  What was answered must be there all the same.
 *
 * MOONPOST_POWERCUT_SEED, MOONPOST_POWERCUT_TRIES (disks by chance at each
 * place, default 2), MOONPOST_POWERCUT_ROUNDS (lives cut short, default 40).
 */

#include "unit/store_life.h"

TestSuite(powercut, .init = life_setup, .fini = life_teardown, .timeout = 600);

#define SEEN (1U << 18) /* Disks; a power of two. */

static unsigned long
setting(const char *name, unsigned long otherwise)
{
	const char *s = getenv(name);

	return s == NULL ? otherwise : strtoul(s, NULL, 10);
}

/* ---- every place of one life ------------------------------------------------
 */

struct walk {
	struct disk_state *state;
	const char *dropped;
	uint64_t seed;
	int begun; /* The store was open. */
	size_t answered;
	unsigned long disks;
	unsigned long wrong;
	char *first_wrong;
	uint64_t *seen;
};

/* Whether there was the same disk before, when as much was answered. */
static int
was_seen(struct walk *w, uint64_t hash)
{
	uint64_t at;

	hash = checksum_hash((struct str){(const char *)&hash, sizeof(hash)},
	    (uint64_t)w->answered * 2 + (uint64_t)w->begun);
	for (at = hash; w->seen[at % SEEN] != 0; at++) {
		if (w->seen[at % SEEN] == hash)
			return 1;
	}
	w->seen[at % SEEN] = hash;
	return 0;
}

/* Open the store on the disk that is made, and say what is wrong with it. */
static char *
look(struct walk *w)
{
	struct store_options o = util_options();
	struct err err = ERR_INIT;
	char *wrong = NULL;

	if (store_open(&o, &util_store, &err) == -1)
		return mem_printf("it does not open: %s", err.msg);
	if (w->begun)
		wrong = life_judge(w->answered);
	if (wrong == NULL && w->dropped == NULL)
		wrong = life_go_on(w->answered);
	util_close();
	return wrong;
}

static void
try_disk(struct walk *w, enum disk_luck luck, uint64_t seed, size_t at)
{
	const char *root;
	char *wrong;

	if (was_seen(w, disk_make(w->state, luck, seed, NULL)))
		return;
	root = life_disk("cut");
	(void)disk_make(w->state, luck, seed, root);
	w->disks++;
	wrong = look(w);
	if (wrong == NULL)
		return;
	w->wrong++;
	if (w->first_wrong == NULL)
		w->first_wrong = mem_printf("cut after call %zu, luck %d, "
					    "seed %llu: %s",
		    at, (int)luck, (unsigned long long)seed, wrong);
	free(wrong);
}

/* Cut at each place of the journal.  With ${dropped} syncs of what has that in
 * its path do nothing, and one loss is enough. */
static void
walk(struct walk *w, const char *dropped)
{
	unsigned long tries = setting("MOONPOST_POWERCUT_TRIES", 2), t;
	enum disk_luck luck;
	size_t i;

	(void)memset(w, 0, sizeof(*w));
	w->seed = setting("MOONPOST_POWERCUT_SEED", 1);
	w->dropped = dropped;
	w->state = disk_state_create();
	w->seen = mem_array(SEEN, sizeof(*w->seen));
	for (i = 0; i < disk.nevents; i++) {
		disk_follow(w->state, &disk.events[i], dropped);
		if (disk.events[i].kind == DISK_MARK) {
			w->begun = 1;
			w->answered = disk.events[i].off;
		}
		for (luck = DISK_NOTHING; luck < DISK_RANDOM; luck++)
			try_disk(w, luck, w->seed, i);
		for (t = 0; t < tries; t++)
			try_disk(w, DISK_RANDOM, disk_random(&w->seed), i);
		if (dropped != NULL && w->wrong > 0)
			break;
	}
	disk_state_free(w->state);
	free(w->seen);
}

static void
live_and_record(void)
{
	disk_record(life_disk("live"));
	disk.quick = 1;
	life_live(NULL, 1);
	disk_stop();
}

Test(powercut, loses_nothing_that_was_answered)
{
	struct walk w;

	live_and_record();
	walk(&w, NULL);
	(void)fprintf(
	    stderr, "powercut: %zu calls, %lu disks\n", disk.nevents, w.disks);
	cr_assert_eq(w.wrong, 0, "%lu of %lu disks; the first: %s", w.wrong,
	    w.disks, w.first_wrong);
	cr_assert_gt(w.disks, 500);
	disk_forget();
}

/* The test above is worth something: it sees each sync that is left out. */
Test(powercut, would_see_a_sync_that_is_missing)
{
	static const struct {
		const char *path;
		const char *what;
	} left_out[] = {
	    {".seg", "of the segments"},
	    {".db-wal", "of the log: synchronous off"},
	    {".db", "of the database and its log"},
	    {"/", "of the folders"},
	};
	struct walk w;
	size_t i;

	live_and_record();
	for (i = 0; i < NELEMS(left_out); i++) {
		walk(&w, left_out[i].path);
		cr_assert_gt(
		    w.wrong, 0, "nobody misses the sync %s", left_out[i].what);
		free(w.first_wrong);
	}
	disk_forget();
}

/* ---- many lives, each cut short ---------------------------------------------
 */

#define KEYS 400
#define OPERATIONS 40 /* A round. */

/* What is known of the delivery with that key. */
struct fact {
	uint64_t id;        /* 0: it was not sent, or not answered. */
	int done;           /* Its job is. */
	uint64_t id_mark;   /* In the journal, of this round. */
	uint64_t done_mark; /* The same. */
};

static struct fact facts[KEYS];
static size_t nkeys; /* Sent, answered or not. */
static uint64_t luck_seed;
static uint64_t marks;

static uint64_t
chance(uint64_t n)
{
	return disk_random(&luck_seed) % n;
}

/* All that is known must be in the open store. */
static void
check_facts(const char *when)
{
	char *text = life_text(), wanted[96], *line;
	size_t i, k;

	cr_assert_null(strstr(text, "BROKEN"), "%s: %s", when, text);
	cr_assert_str_eq(text + strlen(text) - 3, "ok\n", "%s: %s", when, text);
	for (i = 0; i < nkeys; i++) {
		if (facts[i].id == 0)
			continue;
		(void)snprintf(wanted, sizeof(wanted),
		    "delivery %llu|(null)|issue|key-%zu|",
		    (unsigned long long)facts[i].id, i);
		cr_assert_not_null(strstr(text, wanted),
		    "%s: %s is lost; there is\n%s", when, wanted, text);
		(void)snprintf(wanted, sizeof(wanted), "|key-%zu|", i);
		line = strstr(text, wanted);
		cr_assert_null(strstr(line + 1, wanted), "%s: %s twice\n%s",
		    when, wanted, text);
		for (k = 0; k < i; k++)
			cr_assert_neq(facts[k].id, facts[i].id, "%s", when);
		(void)snprintf(wanted, sizeof(wanted), "job|%llu|1|on_issue|3|",
		    (unsigned long long)facts[i].id << 10);
		cr_assert(!facts[i].done || strstr(text, wanted) != NULL,
		    "%s: %s is not so\n%s", when, wanted, text);
	}
	free(text);
}

/* Open it and look; 0: it was killed meanwhile. */
static int
open_anew(const char *when)
{
	struct store_options o = util_options();
	struct err err = ERR_INIT;

	o.segment_bytes = 1;
	if (store_open(&o, &util_store, &err) == -1) {
		cr_assert(disk.frozen, "%s: %s", when, err.msg);
		return 0;
	}
	check_facts(when);
	return 1;
}

/* Do an operation; returns whether it went well. */
static int
attempt(struct store_op *op, enum store_kind kind)
{
	int done;

	life_submit(op, kind, &done);
	life_await(&done);
	if (op->rc == -1)
		return 0;
	disk_mark(++marks);
	return 1;
}

static int
send_one(size_t key)
{
	static char body[40001];
	struct util_delivery d;
	char name[24];
	size_t len = chance(20) == 0 ? 40000 : chance(2000);

	(void)memset(body, 'b', sizeof(body));
	body[len] = '\0';
	(void)snprintf(name, sizeof(name), "key-%zu", key);
	life_delivery(&d, body, name, chance(2) ? "k" : "", "jira");
	if (!attempt(&d.op.op, STORE_OP_APPEND))
		return 0;
	if (facts[key].id == 0) {
		facts[key].id = d.op.ret_id;
		facts[key].id_mark = marks;
	}
	cr_assert_eq(
	    d.op.ret_id, facts[key].id, "key %zu is taken for new", key);
	return 1;
}

static int
run_some(void)
{
	struct store_claim c;
	struct store_finish f;
	struct store_run run;
	size_t i, k;
	int good;

	(void)memset(&c, 0, sizeof(c));
	c.integration = "default";
	c.script = "jira";
	c.max = 3;
	if (!attempt(&c.op, STORE_OP_CLAIM))
		return 0;
	good = 1;
	for (i = 0; i < c.ret_njobs && good; i++) {
		(void)memset(&f, 0, sizeof(f));
		(void)memset(&run, 0, sizeof(run));
		run.outcome = "done";
		f.job_id = c.ret_jobs[i]->id;
		f.state = STORE_DONE;
		f.run = &run;
		good = attempt(&f.op, STORE_OP_FINISH);
		for (k = 0; good && k < nkeys; k++) {
			if (facts[k].id == c.ret_jobs[i]->delivery_id) {
				facts[k].done = 1;
				facts[k].done_mark = marks;
			}
		}
	}
	store_claim_clear(&c);
	return good;
}

/* One thing that happens to a store; 0: it was killed meanwhile. */
static int
happen(void)
{
	switch (chance(10)) {
	case 0:
		life_step_checkpoint();
		return !disk.frozen;
	case 1:
		util_close();
		if (disk.frozen)
			return 0;
		return open_anew("after a close") && !disk.frozen;
	case 2:
	case 3:
	case 4:
		return run_some();
	case 5:
		return nkeys == 0 || send_one(chance(nkeys));
	default:
		return nkeys == KEYS || send_one(nkeys++);
	}
}

static void
kill_and_open(void)
{
	util_close();
	disk.frozen = 0;
	disk.freeze_at = 0;
	cr_assert(open_anew("after a kill"));
}

/* Live for a while, with kills in between. */
static void
live_by_chance(void)
{
	size_t i;

	for (i = 0; i < OPERATIONS; i++) {
		if (disk.freeze_at == 0 && chance(8) == 0)
			disk.freeze_at = disk.calls + 1 + chance(12);
		if (!happen())
			kill_and_open();
	}
	util_close();
	disk.frozen = 0;
}

/* Cut the power at some place of what was noted, and make what is left of the
 * disk below ${root}.  What was answered later was never answered; ${before} is
 * the last mark of the life before. */
static void
cut_by_chance(const char *root, uint64_t before)
{
	struct disk_state *state = disk_state_create();
	enum disk_luck luck = (enum disk_luck)chance(DISK_RANDOM + 3);
	uint64_t last = before;
	size_t at, i;

	at = disk.nevents - chance(disk.nevents - disk.scanned + 1);
	for (i = 0; i < at; i++) {
		disk_follow(state, &disk.events[i], NULL);
		if (disk.events[i].kind == DISK_MARK)
			last = disk.events[i].off;
	}
	for (i = 0; i < nkeys; i++) {
		if (facts[i].id_mark > last)
			facts[i].id = facts[i].id_mark = 0;
		if (facts[i].done_mark > last)
			facts[i].done = 0;
	}
	if (luck > DISK_RANDOM)
		luck = DISK_RANDOM;
	(void)disk_make(state, luck, chance(UINT64_MAX), root);
	disk_state_free(state);
}

Test(powercut, loses_nothing_in_many_short_lives)
{
	unsigned long rounds = setting("MOONPOST_POWERCUT_ROUNDS", 40), i;
	uint64_t seed = setting("MOONPOST_POWERCUT_SEED", 1), before;
	const char *root = life_disk("0");
	size_t key, known = 0;
	char name[16];

	(void)fprintf(
	    stderr, "powercut: seed %llu\n", (unsigned long long)seed);
	luck_seed = seed;
	life_stubborn = 1; /* A checkpoint may fail. */
	disk.quick = 1;
	for (i = 0; i < rounds; i++) {
		disk_record(root);
		before = marks;
		cr_assert(open_anew("after a power cut"));
		live_by_chance();
		disk_stop();
		(void)snprintf(name, sizeof(name), "%lu", (i + 1) % 2);
		root = life_disk(name);
		cut_by_chance(root, before);
	}
	cr_assert(open_anew("in the end"));
	for (key = 0; key < nkeys; key++)
		known += facts[key].id != 0;
	(void)fprintf(
	    stderr, "powercut: %lu rounds, %zu deliveries\n", rounds, known);
	cr_assert(rounds < 10 || known > 20);
	util_close();
	disk_forget();
}
