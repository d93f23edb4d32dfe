/*
 * A life by chance, on a disk that refuses rows, or all, every now and then,
 * and a host that is killed: what was answered holds, nobody gets a job that
 * another has, and in the end all was done once.
 *
 * MOONPOST_CHANCE_SEED, MOONPOST_CHANCE_LIVES (default 8).
 */

#include <sys/mman.h>

#include "store/store_sqlite_internal.h"

#include "unit/store_lazy.h"

TestSuite(
    store_chance, .init = util_setup, .fini = util_teardown, .timeout = 300);

#define DELIVERIES 400 /* Of a life. */
#define KEYS 8
#define FLIGHT 12 /* Operations of a kind under way. */
#define KILLED 3

enum fate {
	FATE_NONE, /* Not claimed. */
	FATE_RUNNING,
	FATE_ENDING, /* Its finish was handed in at least once. */
	FATE_OVER    /* Its finish was answered. */
};

/* What a life has been answered; shared with the one that judges. */
static struct life {
	uint64_t ids[DELIVERIES];           /* 0: not answered. */
	enum store_state ended[DELIVERIES]; /* PENDING: not for good. */
	unsigned int wrong;
	char why[256];
} * life;

static enum fate fates[DELIVERIES];
static size_t unanswered, next_new, again[DELIVERIES], nagain;
static uint64_t dice;

static unsigned int
roll(unsigned int sides)
{
	dice = dice * 6364136223846793005U + 1442695040888963407U;
	return (unsigned int)(dice >> 33) % sides;
}

static void
wrong(const char *what, size_t n)
{
	if (life->wrong++ == 0)
		(void)snprintf(
		    life->why, sizeof(life->why), "%s: %zu", what, n);
}

struct arrival {
	struct util_delivery d;
	size_t n;
	char key[16];
	char order[16];
};

static void
arrived(struct store_op *op)
{
	struct arrival *a = op->cookie;

	unanswered--;
	if (op->rc == -1)
		again[nagain++] = a->n;
	else if (life->ids[a->n] != 0 && life->ids[a->n] != a->d.op.ret_id)
		wrong("another id", a->n);
	else
		life->ids[a->n] = a->d.op.ret_id;
	free(a);
}

static void
hand_in(struct store_op *op, enum store_kind kind, store_done_cb *done)
{
	struct err err = ERR_INIT;

	op->kind = kind;
	op->reply_to = util_box;
	op->done = done;
	unanswered++;
	if (store_submit(util_store, op, &err) == -1)
		_exit(1);
}

static void
arrive(size_t n)
{
	struct arrival *a = mem_zalloc(sizeof(*a));

	util_delivery(&a->d, "a", "{}");
	a->n = n;
	(void)snprintf(a->key, sizeof(a->key), "%zu", n);
	(void)snprintf(a->order, sizeof(a->order), "k%zu", n % KEYS);
	a->d.op.idempotency_key = a->key;
	a->d.op.dedupe_key = str_of(a->key);
	a->d.op.body = str_of(a->key);
	/* The first key is none. */
	if (n % KEYS != 0)
		a->d.jobs[0].order_key = str_of(a->order);
	a->d.op.op.cookie = a;
	hand_in(&a->d.op.op, STORE_OP_APPEND, arrived);
}

struct ending {
	struct store_finish f;
	size_t n;
};

static void
ended(struct store_op *op)
{
	struct ending *e = op->cookie;

	unanswered--;
	if (op->rc == -1) {
		if (op->err.code != ERR_UNAVAILABLE)
			wrong("a finish is refused", e->n);
		fates[e->n] = FATE_ENDING; /* To be handed in again. */
	} else {
		fates[e->n] =
		    e->f.state == STORE_PENDING || e->f.state == STORE_RETRYING
			? FATE_NONE
			: FATE_OVER;
		if (fates[e->n] == FATE_OVER)
			life->ended[e->n] = e->f.state;
	}
	free(e);
}

static uint64_t jobs[DELIVERIES];

static void
end(size_t n)
{
	static const enum store_state states[] = {
	    STORE_DONE, STORE_DONE, STORE_DEAD, STORE_RETRYING, STORE_PENDING};
	struct ending *e = mem_zalloc(sizeof(*e));

	finish_op(&e->f, jobs[n], states[roll(NELEMS(states))]);
	e->n = n;
	e->f.op.cookie = e;
	fates[n] = FATE_OVER; /* Until it is refused. */
	hand_in(&e->f.op, STORE_OP_FINISH, ended);
}

static void
claimed(struct store_op *op)
{
	struct store_claim *c = CONTAINER_OF(op, struct store_claim, op);
	size_t i, k, n;

	unanswered--;
	for (i = 0; op->rc == 0 && i < c->ret_njobs; i++) {
		n = strtoul(c->ret_jobs[i]->body.data, NULL, 10);
		if (fates[n] != FATE_NONE)
			wrong("claimed though somebody has it", n);
		for (k = n % KEYS; n % KEYS != 0 && k < DELIVERIES; k += KEYS)
			if (fates[k] == FATE_RUNNING)
				wrong("claimed though its key runs", n);
		fates[n] = FATE_RUNNING;
		jobs[n] = c->ret_jobs[i]->id;
	}
	store_claim_clear(c);
	free(c);
}

static void
claim(void)
{
	struct store_claim *c = mem_zalloc(sizeof(*c));

	c->integration = "default";
	c->script = "a";
	c->max = 1 + roll(6);
	hand_in(&c->op, STORE_OP_CLAIM, claimed);
}

static void
written(struct store_op *op)
{
	unanswered--;
	free(CONTAINER_OF(op, struct store_kv, op));
}

static void
write_something(void)
{
	struct store_kv *kv = mem_zalloc(sizeof(*kv));

	kv_op(kv);
	hand_in(&kv->op, STORE_OP_KV, written);
}

static void
counted(struct store_op *op)
{
	unanswered--;
	free(CONTAINER_OF(op, struct store_counts, op));
}

static void
read_something(void)
{
	hand_in(
	    &((struct store_counts *)mem_zalloc(sizeof(struct store_counts)))
		 ->op,
	    STORE_OP_COUNTS, counted);
}

static void
change_disk(void)
{
	switch (roll(6)) {
	case 0:
		rows_die();
		break;
	case 1:
		atomic_store(&rows_dead, 0);
		limit_files(0);
		break;
	default:
		atomic_store(&rows_dead, 0);
		limit_files(RLIM_INFINITY);
	}
}

static void
wait_for_answers(size_t fewer_than)
{
	while (unanswered >= fewer_than) {
		mailbox_wait(util_box, 10000);
		mailbox_open_all(util_box);
	}
}

/* One thing that happens; ${new}: also deliveries that were not there yet. */
static void
happen(int new)
{
	size_t n = roll(DELIVERIES), k;

	switch (roll(new ? 16 : 12)) {
	case 0:
		write_something();
		break;
	case 1:
		read_something();
		break;
	case 2:
	case 3:
		if (nagain > 0)
			arrive(again[--nagain]);
		break;
	case 4:
	case 5:
	case 6:
		claim();
		break;
	default:
		if (new &&roll(2) == 0) {
			if (next_new < DELIVERIES)
				arrive(next_new++);
			break;
		}
		for (k = 0; k < DELIVERIES; k++, n = (n + 1) % DELIVERIES) {
			if (fates[n] == FATE_RUNNING ||
			    fates[n] == FATE_ENDING) {
				end(n);
				break;
			}
		}
	}
}

static void
live(uint64_t seed, size_t steps)
{
	struct store_options o = util_options();
	size_t i;

	(void)signal(SIGXFSZ, SIG_IGN);
	dice = seed;
	store_fault_hook = at_point;
	o.commit_ms = 1 + roll(3);
	util_open_with(&o);
	for (i = 0; i < steps; i++) {
		happen(1);
		if (roll(60) == 0)
			change_disk();
		if (roll(4) == 0 || unanswered >= FLIGHT)
			wait_for_answers(roll(FLIGHT) + 1);
		mailbox_open_all(util_box);
	}
}

/* What was answered is what is there. */
static void
judge(uint64_t seed)
{
	char sql[160];
	size_t n;

	cr_assert_eq(life->wrong, 0, "seed %llu: %s", (unsigned long long)seed,
	    life->why);
	check_tallies();
	cr_assert_eq(ask("SELECT count(*) FROM (SELECT 1 FROM delivery GROUP BY"
			 " idempotency_key HAVING count(*) > 1)"),
	    0, "seed %llu: one is there twice", (unsigned long long)seed);
	for (n = 0; n < DELIVERIES; n++) {
		if (life->ids[n] == 0)
			continue;
		(void)snprintf(sql, sizeof(sql),
		    "SELECT coalesce(max(id), 0) FROM delivery"
		    " WHERE idempotency_key = '%zu'",
		    n);
		cr_assert_eq(ask(sql), life->ids[n], "seed %llu: %zu",
		    (unsigned long long)seed, n);
		if (life->ended[n] == STORE_PENDING)
			continue;
		(void)snprintf(sql, sizeof(sql),
		    "SELECT state FROM job WHERE id = %llu",
		    (unsigned long long)(life->ids[n] << SQ_JOB_BITS));
		cr_assert_eq(ask(sql), (uint64_t)life->ended[n],
		    "seed %llu: the end of %zu", (unsigned long long)seed, n);
	}
}

static uint64_t
setting(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);

	return s == NULL ? otherwise : strtoull(s, NULL, 10);
}

static void
each_life(void (*one)(uint64_t seed))
{
	uint64_t seed = setting("MOONPOST_CHANCE_SEED", 1), i;

	life = mmap(NULL, sizeof(*life), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(life, MAP_FAILED);
	for (i = 0; i < setting("MOONPOST_CHANCE_LIVES", 8); i++) {
		(void)memset(life, 0, sizeof(*life));
		util_remove(util_dir);
		one(seed + i);
	}
}

static void
live_and_be_killed(uint64_t seed)
{
	int status;
	pid_t pid;

	pid = fork();
	cr_assert_neq(pid, -1);
	if (pid == 0) {
		live(seed, 100 + seed * 37 % 900);
		_exit(KILLED);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == KILLED,
	    "seed %llu: status %d", (unsigned long long)seed, status);
	util_open();
	judge(seed);
	util_close();
}

Test(store_chance, what_was_answered_holds_after_a_kill)
{
	each_life(live_and_be_killed);
}

static void
live_to_the_end(uint64_t seed)
{
	struct store_counts n;

	(void)memset(fates, 0, sizeof(fates));
	next_new = nagain = 0;
	live(seed, 1500);
	rows_live();
	wait_for_answers(1);
	for (;;) {
		happen(0);
		wait_for_answers(1);
		if (nagain > 0)
			continue;
		util_counts(&n, "a");
		if (n.ret_jobs[STORE_DONE] + n.ret_jobs[STORE_DEAD] == next_new)
			break;
	}
	judge(seed);
	cr_assert_eq(ask("SELECT count(*) FROM delivery"), next_new);
	util_close();
	util_open();
	judge(seed);
	cr_assert_eq(util_claimable("a"), 0);
	util_close();
}

Test(store_chance, all_is_done_once_in_the_end)
{
	each_life(live_to_the_end);
}
