#ifndef DISPATCH_RUN_H_
#define DISPATCH_RUN_H_

/*
 * One attempt at a job: what is known of it while a worker has it, what it has
 * logged, and the record that is kept when it is over.
 *
 * Floor: 5 (dispatch).  May include base/, json/, script/, store/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "store/store.h"
#include "wire/proto.h"

struct bundle;
struct feed;

/* What is kept of a run's log. */
#define RUN_MAX_LINES 1000
#define RUN_MAX_LOG (256U << 10)

/* And of its outbound calls: how many, and bytes of an URL and an error. */
#define RUN_MAX_CALLS 200
#define RUN_MAX_URL 2048

struct run {
	struct run *next;      /* In the table. */
	struct feed *feed;     /* The dispatcher's, of its script. */
	struct bundle *bundle; /* Where it runs; NULL once it is over. */
	struct store_job *job; /* Owned. */
	const char *handler;   /* The job's, or the one it was re-routed to. */
	uint64_t started_unix_ms;
	uint64_t started_mono_ms;
	int overdue;       /* Its worker dies for it. */
	char delivery[24]; /* Its number as text. */

	struct buf log; /* Lines, as JSON, with commas between. */
	unsigned int nlines;
	unsigned int nlost;
	struct buf calls; /* The same. */
	unsigned int ncalls;

	/* When it is over: the operation, and what it points to. */
	struct store_finish finish;
	struct store_run record;
	struct proto_outcome outcome; /* Owns its texts. */
};

/* Those that run, by the number of their job. */
struct run_table {
	struct run **slots;
	size_t nslots; /* A power of two. */
	size_t count;
};

void run_table_put(struct run_table *table, struct run *run);
struct run *run_table_get(const struct run_table *table, uint64_t job_id);
void run_table_remove(struct run_table *table, struct run *run);
void run_table_free(struct run_table *table);

/* Take out one of those for which ${match} says so, or NULL. */
struct run *run_table_find(const struct run_table *table,
    int (*match)(const struct run *run, const void *cookie),
    const void *cookie);

/**
 * run_create(job, feed):
 * An attempt at ${job}, from now on.
 *
 * Ownership: consumes ${job}; the caller frees with run_free().
 */
struct run *run_create(struct store_job *job, struct feed *feed);
void run_free(struct run *run);

/* Append the frame that has ${bundle} run it. */
void run_send(const struct run *run, uint64_t bundle, struct buf *out);

/* Takes the secrets out of a text. */
typedef void run_redact(void *cookie, struct buf *text);

/**
 * run_clean(text, max, redact, cookie):
 * Take the secrets out of a text (NULL stays NULL), and then cut it to ${max}
 * bytes (0: not), not within a character.
 *
 * Ownership: consumes ${text}; the caller frees with free().
 */
char *run_clean(char *text, size_t max, run_redact *redact, void *cookie);

/**
 * run_log(run, script, log):
 * Write a line of a script to the host's log, with what it belongs to, and keep
 * it with the run (NULL: it belongs to none).
 */
void run_log(struct run *run, const char *script, const struct proto_log *log,
    run_redact *redact, void *cookie);

/* Keep an outbound call with the run. */
void run_call(struct run *run, const struct proto_call *call,
    run_redact *redact, void *cookie);

/**
 * run_record(run, outcome, redact, cookie):
 * Fill in run->record, under the name ${outcome}, from run->outcome and the
 * log and the calls; ${redact} (or NULL) takes the secrets out.
 */
void run_record(
    struct run *run, const char *outcome, run_redact *redact, void *cookie);

#endif /* !DISPATCH_RUN_H_ */
