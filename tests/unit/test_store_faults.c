/*
 * The store is killed at every point of a job's life, and at every call that
 * changes a file; and each of these calls fails once, or for a while.
 */

#include <sys/mman.h>

#include "store/store_internal.h"

#include "unit/store_life.h"

TestSuite(
    store_faults, .init = life_setup, .fini = life_teardown, .timeout = 600);

#define PLACES_MAX 2000 /* More places than any life has. */

/* Sanitizers make a life five times as long: then not every place. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STRIDE 5
#else
#define STRIDE 1
#endif

static struct life_progress *progress;
static unsigned long points;
static unsigned long die_at_point;

static void
at_point(const char *point)
{
	(void)point;
	if (++points == die_at_point)
		_exit(DISK_DIED);
}

static void
share_progress(void)
{
	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(progress, MAP_FAILED);
}

/* The life that others are judged by. */
static void
live_undisturbed(void)
{
	disk_record(life_disk("whole"));
	disk.quick = 1;
	life_live(NULL, 1);
	disk_stop();
	disk_forget();
}

/* Live in a process of its own, which dies at a point or a call.  Returns 0 if
 * it lived to the end. */
static int
live_and_die(unsigned long point, unsigned long call)
{
	const char *root = life_disk("cut");
	int status;
	pid_t pid;

	(void)memset((void *)progress, 0, sizeof(*progress));
	pid = fork();
	cr_assert_neq(pid, -1);
	if (pid == 0) {
		disk_record(root);
		disk.quick = 1;
		disk.die_at = call;
		die_at_point = point;
		store_fault_hook = at_point;
		life_live(progress, 0);
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status), "point %lu, call %lu: status %d", point,
	    call, status);
	if (WEXITSTATUS(status) == 0)
		return 0;
	cr_assert_eq(
	    WEXITSTATUS(status), DISK_DIED, "point %lu, call %lu", point, call);
	return 1;
}

static void
check_what_is_left(unsigned long point, unsigned long call)
{
	size_t answered = progress->answered;
	char *wrong;

	disk.quick = 1;
	life_open(0);
	/* Before the first step it is as empty as it was. */
	wrong = life_judge(answered);
	cr_assert_null(
	    wrong, "killed at point %lu, call %lu: %s", point, call, wrong);
	wrong = life_go_on(answered);
	cr_assert_null(
	    wrong, "killed at point %lu, call %lu: %s", point, call, wrong);
	util_close();
}

Test(store_faults, a_kill_at_any_point_of_the_work_loses_nothing)
{
	unsigned long n;

	share_progress();
	live_undisturbed();
	for (n = 1; n < PLACES_MAX && live_and_die(n, 0); n += STRIDE)
		check_what_is_left(n, 0);
	(void)fprintf(stderr, "store_faults: %lu points\n", n - 1);
	cr_assert(n > 50 && n < PLACES_MAX, "%lu", n);
}

Test(store_faults, a_kill_at_any_call_to_the_disk_loses_nothing)
{
	unsigned long n;

	share_progress();
	live_undisturbed();
	for (n = 1; n < PLACES_MAX && live_and_die(0, n); n += STRIDE)
		check_what_is_left(0, n);
	(void)fprintf(stderr, "store_faults: %lu calls\n", n - 1);
	cr_assert(n > 100 && n < PLACES_MAX, "%lu", n);
}

/* ---- calls that fail --------------------------------------------------------
 */

/* What is there after a whole life; deliveries may have other ids. */
static void
check_whole_life(const char *what, unsigned long call)
{
	static const char *const keys[] = {"key-a", "key-b", "key-c", "key-i",
	    "key-1", "key-2", "key-3", "key-4", "key-5", "key-6", "key-big",
	    "key-next", "key-last"};
	char *text = life_text(), *at, *again;
	char wanted[48];
	size_t i;

	cr_assert_null(
	    strstr(text, "BROKEN"), "%s at call %lu: %s", what, call, text);
	cr_assert_str_eq(text + strlen(text) - 3, "ok\n", "%s at call %lu: %s",
	    what, call, text);
	for (i = 0; i < NELEMS(keys); i++) {
		(void)snprintf(wanted, sizeof(wanted), "|%s|", keys[i]);
		at = strstr(text, wanted);
		again = at == NULL ? NULL : strstr(at + 1, wanted);
		cr_assert(at != NULL && again == NULL,
		    "%s at call %lu: %s is %s; there is\n%s", what, call,
		    wanted, at == NULL ? "lost" : "twice", text);
	}
	free(text);
}

/*
 * Live while calls ${from} to ${to} fail, doing again what was refused; then
 * look at it, open it again, and look at what a power cut would have left of
 * it.  Returns how many calls there were.
 */
static unsigned long
live_with_failures(
    const char *what, int error, unsigned long from, unsigned long to)
{
	struct disk_state *state;
	unsigned long calls;
	char *before, *after;
	size_t i;

	disk_record(life_disk("sick"));
	disk.quick = 1;
	disk.fail_errno = error;
	disk.fail_from = from;
	disk.fail_to = to;
	life_stubborn = 1;
	life_steps_done = LIFE_STEPS - 1; /* All that came is to be found. */
	life_live(NULL, 0);
	calls = disk.calls;
	disk.fail_to = 0;
	disk_stop();
	life_open(0);
	check_whole_life(what, from);
	before = life_text();
	util_close();

	state = disk_state_create();
	for (i = 0; i < disk.nevents; i++)
		disk_follow(state, &disk.events[i], NULL);
	(void)disk_make(state, DISK_NOTHING, 1, life_disk("cut"));
	disk_state_free(state);
	disk_forget();
	life_open(0);
	after = life_text();
	cr_assert_str_eq(after, before,
	    "%s at call %lu, then a power cut: there is\n%sinstead of\n%s",
	    what, from, after, before);
	util_close();
	free(before);
	free(after);
	return calls;
}

static void
fail_everywhere(const char *what, int error, unsigned long width)
{
	unsigned long n, calls = 1;

	for (n = 1; n <= calls; n += width > 1 ? width / 2 * STRIDE : STRIDE)
		calls = live_with_failures(what, error, n, n + width);
	(void)fprintf(stderr, "store_faults: %s, %lu calls, refused %lu\n",
	    what, calls, life_refused);
	cr_assert_gt(life_refused, 20);
}

Test(store_faults, a_full_disk_at_any_call_is_told_and_overcome)
{
	fail_everywhere("disk full", ENOSPC, 1);
}

Test(store_faults, a_disk_that_is_full_for_a_while_is_told_and_overcome)
{
	fail_everywhere("disk full for a while", ENOSPC, 12);
}

Test(store_faults, an_input_output_error_at_any_call_is_told_and_overcome)
{
	fail_everywhere("i/o error", EIO, 1);
}

Test(store_faults, a_read_only_disk_is_told_and_overcome)
{
	fail_everywhere("read-only", EROFS, 7);
}

Test(store_faults, half_a_write_is_gone_on_with)
{
	unsigned long n, calls = 1;

	for (n = 1; n <= calls; n += 2 * STRIDE)
		calls = live_with_failures("half a write", 0, n, n + 1);
}
