#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include "bench/measure.h"

int
measure_setting(const char *name, int otherwise)
{
	const char *text = getenv(name);
	int value;

	if (text == NULL || *text == '\0')
		return otherwise;
	value = atoi(text);
	if (value < 1)
		measure_fail(name, "must be a whole number from 1");
	return value;
}

void
measure_texts_read(const char *path, struct measure_texts *ret)
{
	const char *slash = strrchr(path, '/'), *p, *end;
	struct err err;

	(void)memset(ret, 0, sizeof(*ret));
	ret->name = slash == NULL ? path : slash + 1;
	if (file_read(path, 64 << 20, &ret->file, &err) == -1)
		measure_fail(path, err.msg);
	for (p = buf_text(&ret->file); *p != '\0' && ret->n < MEASURE_TEXTS;
	     p = *end == '\0' ? end : end + 1) {
		end = p + strcspn(p, "\n");
		ret->list[ret->n++] = (struct str){p, (size_t)(end - p)};
		ret->bytes += (double)(end - p);
	}
	if (ret->n == 0)
		measure_fail(path, "is empty");
	ret->bytes /= (double)ret->n;
}

void
measure_texts_free(struct measure_texts *texts)
{
	buf_free(&texts->file);
}

static int
by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

double
measure_median(double *list, size_t n)
{
	qsort(list, n, sizeof(*list), by_size);
	return n % 2 == 1 ? list[n / 2] : (list[n / 2 - 1] + list[n / 2]) / 2;
}

static double
ns_of(const struct measure *m, long calls)
{
	uint64_t before = clock_thread_cpu_ns();
	long i;

	for (i = 0; i < calls; i++)
		m->once(m->subject);
	return (double)(clock_thread_cpu_ns() - before);
}

/* How often it is called in a turn; warms it up, too. */
static long
calls_a_turn(const struct measure *m, double turn_ns)
{
	long calls = 1;
	double ns;

	while ((ns = ns_of(m, calls)) < turn_ns / 2)
		calls *= 2;
	return (long)((double)calls * turn_ns / ns) + 1;
}

void
measure_in_turns(struct measure *list, size_t n)
{
	const size_t rounds = (size_t)measure_setting("BENCH_ROUNDS", 15);
	const double turn_ns = measure_setting("BENCH_MS", 10) * 1e6;
	double *each[MEASURE_MAX];
	long calls[MEASURE_MAX];
	size_t i, round;

	assert(n <= MEASURE_MAX);
	for (i = 0; i < n; i++) {
		each[i] = mem_array(rounds, sizeof(*each[i]));
		calls[i] = calls_a_turn(&list[i], turn_ns);
	}
	for (round = 0; round < rounds; round++) {
		for (i = 0; i < n; i++)
			each[i][round] =
			    ns_of(&list[i], calls[i]) / (double)calls[i];
	}
	for (i = 0; i < n; i++) {
		list[i].ns = measure_median(each[i], rounds);
		free(each[i]);
	}
}

void
measure_verdict(const char *what, double value, enum measure_goal kind,
    double goal, const char *unit)
{
	const char *sign = kind == MEASURE_BELOW ? "<" : ">=";

	(void)printf("  %s: %.2f%s, ", what, value, unit);
	if (kind == MEASURE_BELOW ? value < goal : value >= goal)
		(void)printf("ok (goal %s %g%s)\n", sign, goal, unit);
	else
		(void)printf("MISSED by %.0f %% (goal %s %g%s)\n",
		    fabs(value - goal) / goal * 100, sign, goal, unit);
}

void
measure_fail(const char *what, const char *why)
{
	(void)fprintf(stderr, "bench: %s: %s\n", what, why);
	exit(EXIT_FAILURE);
}
