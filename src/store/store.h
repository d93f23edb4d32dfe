#ifndef STORE_STORE_H_
#define STORE_STORE_H_

/*
 * The durable store: a delivery is written here before Sentry gets its 200, and
 * its jobs stay until a handler has finished with them or they are buried.
 *
 * A caller fills in an operation (a struct that begins with struct store_op),
 * submits it, and gets it back on its own thread, by its own mailbox, when it
 * is done.  Writing operations that wait at the same time share one turn: the
 * deliveries go into a segment file, which is their log, with one fdatasync,
 * and are safe.  Their rows share a commit with those of other turns, which
 * comes within 20 ms; what of them never gets one is made again from the log.
 * What was answered with rc 0 survives a power cut.
 *
 * Floor: 2 (store).  May include base/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/mailbox.h"
#include "base/str.h"

struct store;

enum store_state {
	STORE_PENDING,
	STORE_RUNNING,
	STORE_RETRYING,
	STORE_DONE,
	STORE_DROPPED,
	STORE_DEAD,
	STORE_INVALID,   /* A delivery only: it failed its schema. */
	STORE_UNHANDLED, /* A delivery only: no script wanted it. */
};

struct store_options {
	const char *path;          /* The data folder; made if missing. */
	uint64_t dedupe_window_ms; /* How long a dedupe key is remembered. */
	uint64_t retain_done_ms;   /* Age at which done, dropped and unhandled
				    * deliveries go; 0 = never. */
	uint64_t retain_dead_ms;   /* The same for dead and invalid ones. */
	uint64_t retain_gone_ms;   /* How long jobs of a script that is gone
				    * wait until they are dead; 0 = for ever. */
	uint64_t max_bytes;        /* Cap on all of it, and never more than
				    * 80 % of what the disk has free at start;
				    * 0 = none. */
	size_t queue_max;          /* Operations that may wait; 0 = 4096. */
	int strict_order;          /* A retrying job keeps its ordering key. */
	uint64_t segment_bytes;    /* Length of a segment file; 0 = 64 MiB. */
	uint64_t read_limit_ms;    /* Of a list or get; 0 = 2 s. */
	uint64_t commit_ms;        /* How long rows wait for their commit; 0 =
				    * 20 under load, else 2. */
};

/* Told on its own thread that jobs of a script became due. */
typedef void store_ready_cb(
    void *cookie, const char *integration, const char *script);

/* ---- operations ------------------------------------------------------------
 */

enum store_kind {
	STORE_OP_APPEND,
	STORE_OP_CLAIM,
	STORE_OP_FINISH,
	STORE_OP_STEP,
	STORE_OP_KV,
	STORE_OP_COUNTS,
	STORE_OP_LIST,
	STORE_OP_GET,
	STORE_OP_REPLAY,
	STORE_OP_DISCARD,
	STORE_OP_PRESENT,
	STORE_OP_SCHEDULES,
	STORE_OP_INVALID,
	STORE_OP_RECORD,
};

struct store_op;
typedef void store_done_cb(struct store_op *op);

/* The head of every operation.  The submitter fills in the first four. */
struct store_op {
	enum store_kind kind;
	struct mailbox *reply_to; /* Where the operation comes back. */
	store_done_cb *done;      /* Called there, exactly once. */
	void *cookie;             /* The submitter's. */

	int rc;           /* 0, or -1 and err says why. */
	struct err err;   /* ERR_UNAVAILABLE: the disk is full or refuses;
			   * ERR_NOT_FOUND: no such delivery, or the job is
			   * not running;
			   * ERR_INVALID: the arguments; ERR_INTERNAL. */
	struct mail mail; /* The store's, while it has the operation. */
};

/* A job to be made with a delivery. */
struct store_new_job {
	const char *script;
	const char *handler;
	struct str order_key; /* Empty: no order. */
};

/* STORE_OP_APPEND: keep a delivery and its jobs.  Everything is borrowed until
 * the operation comes back; a NULL text is kept as null. */
struct store_append {
	struct store_op op;

	enum store_state state; /* PENDING with jobs, INVALID or UNHANDLED. */
	const char *integration;
	const char *channel;
	const char *resource;
	const char *action;
	const char *request_id;
	const char *idempotency_key;
	struct str dedupe_key;   /* The unique key; empty: never a duplicate. */
	struct str signature;    /* For possible_duplicate_of; may be empty. */
	struct str headers_json; /* An object, name -> value. */
	struct str body;         /* As received: the signed bytes. */
	struct str warnings_json;      /* An array; empty if none. */
	const char *violation_pointer; /* INVALID only. */
	const char *violation_message;
	uint64_t received_unix_ms;
	const struct store_new_job *jobs;
	size_t njobs;

	/* Of a schedule that is due (NULL: of none).  Whoever is the first to
	 * append this or a later time of it has it, for all others it is a
	 * duplicate; so it is while the job before it waits or runs. */
	const char *schedule;
	const char *schedule_script;
	int64_t due_unix_s;

	uint64_t ret_id;   /* Of the delivery, or of the one it repeats (0 with
			    * a schedule whose time was taken). */
	int ret_duplicate; /* The dedupe key was there: nothing was written. */
	int64_t ret_last_unix_s; /* With a schedule: the last time that was
				  * appended, now. */
	int ret_busy; /* With a schedule: the job before it waits or runs. */
	uint64_t ret_repeats; /* The delivery that had the same signature
			       * before, or 0. */
};

struct store_step {
	struct str name;
	struct str result_json;
};

/* A claimed job, with all that is needed to run it. */
struct store_job {
	uint64_t id;
	uint64_t delivery_id;
	char *integration;
	char *script;
	char *handler;
	char *channel;
	char *resource;
	char *action;
	char *request_id;
	struct str order_key;
	struct str headers_json;
	struct str body;
	struct str warnings_json;
	uint64_t received_unix_ms;
	unsigned int attempt;     /* Of the run to come, from 1. */
	struct store_step *steps; /* What earlier attempts have recorded. */
	size_t nsteps;
	void *memory; /* The store's: some of the above points into it. */
};

/*
 * STORE_OP_CLAIM: take up to ${max} due jobs of a script, the oldest first, and
 * mark them running.  A job whose ordering key has an earlier job that is
 * pending or running is not due.  A job that is claimed and never finished is
 * claimable again after a restart.
 */
struct store_claim {
	struct store_op op;

	const char *integration;
	const char *script;
	size_t max;

	struct store_job *
	    *ret_jobs; /* The caller frees with store_claim_clear(). */
	size_t ret_njobs;
	size_t ret_nburied;        /* Jobs that died, not to be read: their */
	struct err ret_buried;     /* bodies are damaged.  Why, of the last. */
	uint64_t ret_next_unix_ms; /* When the next retry is due; 0 = none. */
};

/* What is kept of one run of a handler. */
struct store_run {
	uint64_t started_unix_ms;
	uint64_t duration_ms;
	uint64_t cpu_us;
	uint64_t memory_bytes;
	const char *outcome; /* "done", "error", "retry", "dropped", "killed" */
	const char *error;   /* May be NULL. */
	const char *traceback; /* May be NULL. */
	struct str log_json;   /* An array, or empty. */
	struct str calls_json; /* An array, or empty. */
};

/*
 * STORE_OP_FINISH: a claimed job has run, or goes back.  ${state} is DONE,
 * DROPPED, DEAD, RETRYING (due at ${next_unix_ms}), or PENDING: put back as if
 * it had never been claimed, uncharged, without a run.  After ERR_UNAVAILABLE
 * the job is claimed as before: finish it again later.  It comes back when that
 * is durable; until then nobody gets the job again, but what it held up (by its
 * ordering key) may be claimed before.
 */
struct store_finish {
	struct store_op op;

	uint64_t job_id;
	enum store_state state;
	uint64_t next_unix_ms;
	const struct store_run *run; /* Borrowed; NULL with PENDING. */
};

/* STORE_OP_STEP: record the result of a step of a running job.  ERR_TOO_LARGE:
 * the result is more than STORE_VALUE_MAX. */
struct store_step_put {
	struct store_op op;

	uint64_t job_id;
	struct str name;
	struct str result_json;
};

/* Bytes of a step's result or a kv value, of a key, of all kv of an
 * integration. */
#define STORE_VALUE_MAX 65536
#define STORE_KEY_MAX 1024
#define STORE_KV_MAX (64U << 20)

/* Bytes of a list of keys, as JSON. */
#define STORE_KV_LIST_MAX (4U << 20)

enum store_kv_kind {
	STORE_KV_GET,
	STORE_KV_SET,
	STORE_KV_ADD, /* Only if absent; ret_found says if it was there. */
	STORE_KV_INCR,
	STORE_KV_DELETE,
	STORE_KV_LIST, /* key is the prefix. */
};

/*
 * STORE_OP_KV: the durable table that scripts of an integration share.
 * ERR_TOO_LARGE: beyond one of the limits above; ERR_INVALID: INCR of what is
 * no integer, or beyond 64 bits, or an empty key.
 */
struct store_kv {
	struct store_op op;

	enum store_kv_kind what;
	const char *integration;
	struct str key;
	struct str value_json; /* SET, ADD */
	int64_t by;            /* INCR */
	uint64_t ttl_ms;       /* SET, ADD: 0 = for ever. */

	int ret_found;  /* There was a value. */
	char *ret_json; /* GET: the value; INCR: the new one; LIST: an array
			 * of keys, sorted.  The caller frees with free(). */
	size_t ret_jsonlen;
};

/* Bytes of a record's content. */
#define STORE_RECORD_MAX 65536

enum store_record_kind {
	STORE_RECORD_GET,
	STORE_RECORD_PUT,     /* If it is at ${version}; 0: if there is none. */
	STORE_RECORD_TAKE,    /* Delete it, and return what it was. */
	STORE_RECORD_LEASE,   /* For ${owner}, unless another one has it. */
	STORE_RECORD_RELEASE, /* If ${owner} has it. */
};

/*
 * STORE_OP_RECORD: the host's own records (tokens, states of a login), whose
 * content is sealed before it comes here.  Every change makes a new version, so
 * that of several hosts that change one only the first does.  A lease is a
 * promise among hosts to leave the rest to its owner until it ends; it can be
 * taken where there is no record yet, and does not keep anybody from writing.
 *
 * ERR_TOO_LARGE: the content is more than STORE_RECORD_MAX, the key more than
 * STORE_KEY_MAX, or there would be more than ${max} of the kind.
 */
struct store_record {
	struct store_op op;

	enum store_record_kind what;
	const char *integration;
	const char *kind; /* "token", "state", ... */
	struct str key;
	uint64_t version;         /* PUT */
	struct str sealed;        /* PUT */
	uint64_t expires_unix_ms; /* PUT: 0 = never. */
	size_t max;               /* PUT: of the integration; 0 = no limit. */
	const char *owner;        /* LEASE, RELEASE */
	uint64_t lease_ms;        /* LEASE */

	int ret_done;         /* PUT, TAKE, LEASE, RELEASE: it was done. */
	int ret_found;        /* There is a record, or was one (TAKE). */
	uint64_t ret_version; /* Of the record as it is now; 0: none. */
	char *ret_sealed;     /* Its content, but for a PUT that was done.  The
			       * caller frees with free(). */
	size_t ret_sealedlen;
	uint64_t ret_lease_ms; /* How much longer somebody else has it. */
};

/* STORE_OP_COUNTS: how much of each kind there is, for a script or for all. */
struct store_counts {
	struct store_op op;

	const char *integration; /* NULL: all. */
	const char *script;      /* NULL: all. */

	uint64_t ret_jobs[STORE_UNHANDLED + 1]; /* By state. */
	uint64_t ret_deliveries;
	uint64_t ret_bytes;     /* On disk. */
	uint64_t ret_max_bytes; /* The cap that holds; 0 = none. */
};

/*
 * STORE_OP_LIST: a page of deliveries, the newest first, as the JSON text
 * `{"deliveries":[...],"next":...}` that PRODUCT.md section 8 describes.  Every
 * filter may be NULL or 0.  Served by the reader thread, within a time limit.
 */
struct store_list {
	struct store_op op;

	const char *state;
	const char *resource;
	const char *action;
	const char *script;
	const char *integration;
	const char *text; /* In a body, a header, an error. */
	uint64_t since_unix_ms;
	uint64_t until_unix_ms;
	uint64_t before_id;
	size_t limit; /* 0 = 50, at most 500. */

	char *ret_json; /* The caller frees with free(). */
	size_t ret_jsonlen;
};

/* STORE_OP_GET: one delivery with headers, payload, runs and steps, as JSON. */
struct store_get {
	struct store_op op;

	uint64_t id;

	char *ret_json; /* The caller frees with free(). */
	size_t ret_jsonlen;
};

/*
 * STORE_OP_REPLAY: make jobs run again from attempt 1: those of one delivery
 * (${id}), or of all that a filter names.  Without ${scripts} the failed ones
 * (dead, retrying, dropped), with ${all} every one.  A delivery that has no
 * jobs (invalid, unhandled) gets ${jobs}; those are replayed one by one, by
 * ${id}.  Steps that a failed job has recorded are kept, those of a done one
 * are forgotten.
 *
 * With ${id} and the ${state} "invalid" nothing happens unless the delivery is
 * still in quarantine; without ${jobs} it becomes unhandled.
 */
struct store_replay {
	struct store_op op;

	uint64_t id; /* 0: by filter. */
	const char *state;
	const char *integration;
	const char *script;
	uint64_t since_unix_ms;
	const char *const *scripts;
	size_t nscripts;
	int all;
	const struct store_new_job *jobs;
	size_t njobs;

	uint64_t ret_count; /* Jobs that will run. */
	char *ret_json;     /* By ${id}: an array of their scripts' names.  The
			     * caller frees with free(). */
	size_t ret_jsonlen;
	uint64_t at; /* The store's. */
};

/* STORE_OP_DISCARD: drop every job of a script that waits. */
struct store_discard {
	struct store_op op;

	const char *integration;
	const char *script;

	uint64_t ret_count;
	uint64_t at; /* The store's. */
};

/* One of the scripts that are there. */
struct store_script_name {
	const char *integration;
	const char *script;
};

/*
 * STORE_OP_PRESENT: these are all the scripts.  Jobs of others wait, and are
 * dead if their script does not come back in time
 * (store_options.retain_gone_ms).
 */
struct store_present {
	struct store_op op;

	const struct store_script_name *scripts;
	size_t nscripts;

	/* Others that have jobs which wait.  The caller frees with
	 * store_present_clear(). */
	struct store_script_name *ret_gone;
	size_t ret_ngone;
};

/* One schedule of a script. */
struct store_schedule {
	const char *name;
	const char *rule; /* When it is due, as text. */

	int64_t ret_last_unix_s; /* When it was due the last time. */
};

/*
 * STORE_OP_SCHEDULES: these are all the schedules of a script.  One that is new
 * or has another rule counts as due ${now_unix_s} for the last time; others
 * that the script had are forgotten.  A last time that is
 * more than a day to come was noted by a wrong clock, and counts as none.
 */
struct store_schedules {
	struct store_op op;

	const char *integration;
	const char *script;
	int64_t now_unix_s;
	struct store_schedule *schedules;
	size_t nschedules;
};

/* A delivery in quarantine. */
struct store_invalid {
	uint64_t id;
	char *integration;
	char *resource;
	struct str body;
	void *memory; /* The store's: the body points into it. */
};

/* Bytes of bodies after which a page of the quarantine ends. */
#define STORE_INVALID_BYTES (1U << 20)

/*
 * STORE_OP_INVALID: a page of the quarantine, the oldest first.  What cannot be
 * read, or was refused for another reason than its schema (without a
 * violation_pointer), is left out.  Served by the reader thread, within a time
 * limit.
 */
struct store_invalid_page {
	struct store_op op;

	uint64_t after_id;
	size_t max; /* Deliveries on it; 0 = 16. */

	struct store_invalid *ret_deliveries; /* The caller frees with
					       * store_invalid_clear(). */
	size_t ret_n;
	uint64_t ret_next; /* ${after_id} of the next page; 0: none. */
};

/* ---- functions
 * --------------------------------------------------------------- */

/**
 * store_open(options, ret_store, err):
 * Open the store in a data folder, create or upgrade it, and start its threads.
 * Jobs that were running when the last host stopped are pending again.
 *
 * Errors:    ERR_UNAVAILABLE  it cannot be opened, or another host has it;
 *            ERR_INVALID      it is damaged, or of a newer version; the message
 *                             says what to do.
 * Ownership: borrows ${options}; the caller frees with store_close().
 * Thread:    any; blocks on the disk.
 */
int store_open(const struct store_options *options, struct store **ret_store,
    struct err *err) ATTR_MUSTCHECK;

/**
 * store_close(store):
 * Finish what was submitted, stop the threads, close the files.  Operations
 * come back before this returns, into mailboxes that must still be there.
 *
 * Ownership: consumes ${store}; store_close(NULL) has no effect.
 * Thread:    any; blocks.
 */
void store_close(struct store *store);

/**
 * store_submit(store, op, err):
 * Hand in an operation.
 *
 * Returns:   0, and op->done will be called on its thread; or -1, and it never
 *            will.
 * Errors:    ERR_UNAVAILABLE  too many wait already (only STORE_OP_APPEND and
 *                             the reading kinds are refused: a job's life goes
 *                             on whatever comes in).
 * Ownership: ${op} and what it points to is the store's until it comes back.
 * Thread:    any; does not block.
 */
int store_submit(
    struct store *store, struct store_op *op, struct err *err) ATTR_MUSTCHECK;

/* Operations of one thread that are to be handed in together.  All zero at
 * first. */
struct store_batch {
	struct mail *first;
	struct mail *last;
};

/**
 * store_collect(store, batch, op, err):
 * As store_submit(), but the writer is told later, by store_submit_all(): what
 * a thread has for it in one round of its loop then costs one waking, and is
 * likely to share a commit.  Not for the kinds that only read (LIST, GET,
 * COUNTS, INVALID).
 *
 * Returns, Errors, Ownership: as store_submit().
 * Thread:    that of ${batch}; does not block.
 */
int store_collect(struct store *store, struct store_batch *batch,
    struct store_op *op, struct err *err) ATTR_MUSTCHECK;

/**
 * store_submit_all(store, batch):
 * Hand in what was collected, in that order; ${batch} is empty then.
 *
 * Thread:    that of ${batch}; does not block.
 */
void store_submit_all(struct store *store, struct store_batch *batch);

/**
 * store_watch(store, mailbox, ready, cookie):
 * Have ${ready} called, by ${mailbox}, after jobs of a script became due by an
 * append, a replay, or a finish that let the next of its key go.  Several at
 * once may come as one call.  One watcher a store; set it before appending.
 *
 * Ownership: keeps ${mailbox} and ${cookie}.
 * Thread:    any, before the first operation.
 */
void store_watch(struct store *store, struct mailbox *mailbox,
    store_ready_cb *ready, void *cookie);

/**
 * store_usable(store):
 * Whether the last write went well, or none was tried: what /readyz asks.
 *
 * Thread:    any.
 */
int store_usable(struct store *store);

/**
 * store_fill_percent(store):
 * How full the store is, in percent of its cap: to warn at 50 and at 80.
 *
 * Thread:    any.
 */
unsigned int store_fill_percent(struct store *store);

/* Free what a claim has returned.  Jobs that were taken out are NULL there. */
void store_claim_clear(struct store_claim *claim);

/* Free what else was returned. */
void store_present_clear(struct store_present *present);
void store_invalid_clear(struct store_invalid_page *page);

/* Free one job. */
void store_job_free(struct store_job *job);

/* "pending", "running", ...; and back, -1 if it is none. */
const char *store_state_name(enum store_state state);
int store_state_parse(const char *name, enum store_state *ret) ATTR_MUSTCHECK;

#endif /* !STORE_STORE_H_ */
