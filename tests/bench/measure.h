#ifndef BENCH_MEASURE_H_
#define BENCH_MEASURE_H_

/*
 * How the micro benchmarks measure: what is compared takes turns, and medians
 * are printed.  Time is CPU time of the thread, so that other work on the
 * machine weighs less.
 *
 *	BENCH_ROUNDS  turns of each (default 15)
 *	BENCH_MS      of a turn (default 10)
 */

#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"

/* The most that take turns together. */
#define MEASURE_MAX 16

/* Texts of a file, at most. */
#define MEASURE_TEXTS 64

enum measure_goal {
	MEASURE_AT_LEAST,
	MEASURE_BELOW,
};

/* One of those that take turns. */
struct measure {
	const char *name;
	void (*once)(void *subject);
	void *subject;
	double ns; /* Of one call: the median over the rounds. */
};

/* Texts of one kind, which are taken one after the other. */
struct measure_texts {
	const char *name; /* Of the file, without its folder. */
	struct buf file;
	struct str list[MEASURE_TEXTS];
	size_t n;
	size_t next;
	double bytes; /* Of a text, on average. */
};

/* Read a file with a text a line; free with measure_texts_free(). */
void measure_texts_read(const char *path, struct measure_texts *ret);
void measure_texts_free(struct measure_texts *texts);

/* The index of the next one. */
static inline size_t
measure_next(struct measure_texts *texts)
{
	return texts->next++ % texts->n;
}

/* A number from the environment, at least 1. */
int measure_setting(const char *name, int otherwise);

/* Let them take turns, and set the ns of each. */
void measure_in_turns(struct measure *list, size_t n);

/* The median; the list is sorted then. */
double measure_median(double *list, size_t n);

/* "parse: 2.65 GB/s, ok (goal >= 1 GB/s)", or "MISSED by 12 % (...)". */
void measure_verdict(const char *what, double value, enum measure_goal kind,
    double goal, const char *unit);

/* Say what went wrong, and end. */
void measure_fail(const char *what, const char *why) __attribute__((noreturn));

#endif /* !BENCH_MEASURE_H_ */
