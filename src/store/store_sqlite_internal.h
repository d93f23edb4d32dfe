#ifndef STORE_STORE_SQLITE_INTERNAL_H_
#define STORE_STORE_SQLITE_INTERNAL_H_

/*
 * The SQLite engine, which is spread over store_sqlite*.c by purpose.  Its
 * functions begin with sq_.  All but those of the console run on the writer's
 * thread, inside the transaction of a group.
 *
 * Functions that fail with -1 fail the whole group.  An operation that cannot
 * be done for a reason of its own gets op->rc and op->err by sq_refuse(),
 * before anything was written for it.
 *
 * Floor: 2 (store).  May include base/.
 */

#include <sqlite3.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"

#include "store/keys.h"
#include "store/running.h"
#include "store/seen.h"
#include "store/segment.h"
#include "store/store.h"
#include "store/store_internal.h"

struct buf;

/* A job that waits for another of its ordering key: pending, seen from
 * outside.  The other states in a row are those of enum store_state, whose
 * numbers are therefore never changed. */
#define SQ_BLOCKED (STORE_UNHANDLED + 1)
#define SQ_STATES (SQ_BLOCKED + 1)

/* The jobs of delivery d are d << SQ_JOB_BITS | n. */
#define SQ_JOB_BITS 10
#define SQ_JOBS_MAX ((1U << SQ_JOB_BITS) - 1)

/* The last id of a delivery: seen.c has 40 bits for one. */
#define SQ_ID_MAX ((UINT64_C(1) << 40) - 1)

/* Segments that are deleted at once. */
#define SQ_DEAD_FILES 16

/* One prepared statement each, by connection. */
enum sq_sql {
	SQ_BEGIN,
	SQ_COMMIT,
	SQ_ROLLBACK,
	SQ_TALLY_ADD,
	SQ_SEGMENT_ADD,
	SQ_SEEN_ADD,
	SQ_SCRIPT_ADD,
	SQ_META_SET,
	SQ_DELIVERY_ADD,
	SQ_JOB_ADD,
	SQ_CLAIM_RETRY,
	SQ_CLAIM_PENDING,
	SQ_NEXT_RETRY,
	SQ_CLAIM_DELIVERY,
	SQ_STEPS,
	SQ_BODY,
	SQ_JOB_END,
	SQ_RUN_ADD,
	SQ_KEY_NEXT,
	SQ_UNBLOCK,
	SQ_CLAIM_STATE,
	SQ_EARLIER_FIND,
	SQ_EARLIER,
	SQ_STEP_ADD,
	SQ_STEP_FLAG,
	SQ_DISCARD_FIND,
	SQ_DISCARD_JOB,
	SQ_DISCARD_BLOCKED,
	SQ_BURY_RUN,
	SQ_GONE,
	SQ_BACK,
	SQ_WAITING,
	SQ_GONE_FIND,
	SQ_INVALID,
	SQ_REPLAY_DELIVERY,
	SQ_REPLAY_JOBS,
	SQ_REPLAY_FAILED,
	SQ_REPLAY_RETRYING,
	SQ_REPLAY_DONE,
	SQ_REPLAY_JOB,
	SQ_REPLAY_STEPS,
	SQ_REPLAY_STATE,
	SQ_SCHEDULE_LAST,
	SQ_SCHEDULE_SET,
	SQ_SCHEDULE_RULE,
	SQ_SCHEDULE_BUSY,
	SQ_SCHEDULE_LIST,
	SQ_SCHEDULE_DEL,
	SQ_KV_GET,
	SQ_KV_SET,
	SQ_KV_DELETE,
	SQ_KV_LIST,
	SQ_KV_SIZE,
	SQ_KV_SIZE_ADD,
	SQ_KV_EXPIRED,
	SQ_KV_EXPIRED_OF,
	SQ_RECORD_GET,
	SQ_RECORD_COUNT,
	SQ_RECORD_SET,
	SQ_RECORD_LEASE,
	SQ_RECORD_RELEASE,
	SQ_RECORD_DELETE,
	SQ_RECORD_EXPIRED,
	SQ_SEEN_EXPIRED,
	SQ_SWEEP,
	SQ_SWEEP_JOBS,
	SQ_SWEEP_SCRIPTS,
	SQ_DEL_DELIVERY,
	SQ_DEL_JOBS,
	SQ_DEL_RUNS,
	SQ_DEL_STEPS,
	SQ_DEL_BODY,
	SQ_SEGMENT_LESS,
	SQ_SEGMENT_DEAD,
	SQ_SEGMENT_SPARSE,
	SQ_SEGMENT_DEL,
	SQ_MOVE_FIND,
	SQ_MOVE_ADD,
	SQ_MOVE_REF,
	SQ_USED,
	SQ_COUNT_TALLY,
	SQ_LIST_ALL,
	SQ_LIST_FAILED,
	SQ_LIST_RETRYING,
	SQ_LIST_SCRIPTS,
	SQ_LIST_SCRIPT,
	SQ_LIST_DUE,
	SQ_LIST_BLOCKED,
	SQ_LIST_ODD,
	SQ_LIST_AT,
	SQ_SHOW_DELIVERY,
	SQ_SHOW_JOBS,
	SQ_SHOW_ERROR,
	SQ_SHOW_RUNS,
	SQ_SHOW_STEPS,
	SQ_STATEMENTS
};

struct sq_conn {
	sqlite3 *db;
	const char *path; /* Borrowed; for messages. */
	sqlite3_stmt *stmts[SQ_STATEMENTS];
};

enum sq_redo_kind {
	SQ_REDO_APPEND,
	SQ_REDO_DUE, /* An append of a schedule: it fails with its group. */
	SQ_REDO_CLAIM,
};

/* What cannot be taken back of the open transaction: it is done again if that
 * fails. */
struct sq_redo {
	enum sq_redo_kind kind;
	uint64_t id;            /* APPEND */
	struct segment_ref ref; /* APPEND */
	struct str row;         /* APPEND, DUE; owned. */
	struct running_job job; /* CLAIM */
};

/* A script that has ever had a job. */
struct sq_script {
	uint64_t id;
	char *integration;
	char *name;
	struct store_slot *slot;
	uint64_t cursor; /* All due pending jobs up to it are running. */
	int saved;       /* It has a row... */
	int fresh;       /* ...which this transaction made. */
	int ready;       /* This group made jobs of it due. */
	int skipped;     /* A due retry waits for a job of its key. */
	int late;        /* A claim left jobs for after the commit. */
	int64_t delta[SQ_STATES]; /* Change of its tally by the transaction. */
};

struct sq {
	struct store *store;
	char *dir;
	char *db_path;
	int lock_fd;
	int strict_order;
	uint64_t retain_done_ms;
	uint64_t retain_dead_ms;
	uint64_t retain_gone_ms;
	uint64_t max_bytes;
	uint64_t read_limit_ms;
	struct sq_conn conn; /* The writer's. */
	struct segment *segment;
	struct segment_reader *bodies; /* The writer's. */
	struct running *running;
	struct keys *keys;
	struct seen *seen;
	struct sq_script **scripts; /* By integration and name. */
	size_t nscripts;
	size_t scripts_cap;
	uint64_t last_script;
	uint64_t next_id; /* Of the next delivery. */
	int full;         /* Appends are refused. */
	int wal_pages;    /* In the write-ahead log after the last commit. */

	/* What the time was at the start; dedupe windows go on from there, for
	 * the clock may be set. */
	uint64_t start_unix_ms;
	uint64_t start_mono_ms;

	/* Of the transaction, which may be of several groups. */
	int open;
	uint64_t now_ms; /* When its last group began. */
	uint64_t first_id;
	struct sq_redo *redo;
	size_t nredo;
	size_t nkept; /* Of them; the rest is of a group that may yet fail. */
	size_t redo_cap;
	struct seen_entry *entries;
	size_t nentries;
	size_t entries_cap;
	uint64_t seg_file; /* That the next three are about. */
	int64_t seg_records;
	int64_t seg_bytes;
	uint64_t seg_used;
	int64_t delta[SQ_STATES]; /* Deliveries (0), invalid, unhandled. */
	int changes;              /* sqlite3_total_changes() at its begin. */

	/* Of retention. */
	unsigned int phase;     /* Of the round. */
	int set_back;           /* The clock was, perhaps. */
	uint64_t sweep_id;      /* Where the look at deliveries goes on. */
	uint64_t round_mono_ms; /* When the next round begins. */
	unsigned int freed;     /* Dropped or moved in this round. */
	unsigned int hunger;  /* Over the cap: 1 the done go, 2 the dead too. */
	uint64_t used_bytes;  /* Measured. */
	uint64_t grown_bytes; /* Added since, about. */
	uint64_t slice_bytes; /* Dropped by this slice. */
	uint64_t less_file;   /* A segment, of which... */
	int64_t less_records; /* ...this slice has taken so much. */
	int64_t less_bytes;
	uint64_t move_file; /* The segment that is emptied; 0: none. */
	uint64_t move_id;   /* Its next delivery. */
	uint64_t dead_files[SQ_DEAD_FILES]; /* To be deleted after commit. */
	size_t ndead_files;

	/* The reader's. */
	struct sq_conn rconn;
	struct segment_reader *rbodies;
	uint64_t deadline_mono_ms;
	atomic_ullong used_shown; /* used_bytes, for the reader. */
};

/* ---- statements (store_sqlite_stmt.c)
 * ----------------------------------------- */

/**
 * sq_get(conn, which, sql, err):
 * The prepared statement ${which}, made from ${sql} at its first use, reset and
 * without bindings.  NULL if it fails.
 */
sqlite3_stmt *sq_get(struct sq_conn *conn, enum sq_sql which, const char *sql,
    struct err *err) ATTR_MUSTCHECK;

/* Fill in ${err} from what SQLite last said; return -1. */
int sq_fail(struct sq_conn *conn, struct err *err, const char *what);

/* Step: 1 there is a row, 0 done (and reset), -1 failed. */
int sq_row(
    struct sq_conn *conn, sqlite3_stmt *stmt, struct err *err) ATTR_MUSTCHECK;

/* Run a statement to its end. */
int sq_run(
    struct sq_conn *conn, sqlite3_stmt *stmt, struct err *err) ATTR_MUSTCHECK;

/* Run text. */
int sq_exec(
    struct sq_conn *conn, const char *sql, struct err *err) ATTR_MUSTCHECK;

/* Bind; a NULL text, an empty blob and a 0 by sq_bind_opt() are null. */
void sq_bind(sqlite3_stmt *stmt, int at, uint64_t value);
void sq_bind_opt(sqlite3_stmt *stmt, int at, uint64_t value);
void sq_bind_text(sqlite3_stmt *stmt, int at, const char *s);
void sq_bind_blob(sqlite3_stmt *stmt, int at, struct str s);

/* A column's value; text and bytes until the next step. */
uint64_t sq_u64(sqlite3_stmt *stmt, int at);
const char *sq_text(sqlite3_stmt *stmt, int at);
struct str sq_blob(sqlite3_stmt *stmt, int at);

/* ---- the writer's common parts (store_sqlite.c) ---------------------------
 */

/* A script that has a row already. */
void sq_script_saved(
    struct sq *sq, uint64_t id, const char *integration, const char *name);

/* SQLite asks the reader whether it has to stop; and tells the writer how long
 * the log is. */
int sq_out_of_time(void *cookie);
int sq_committed(void *cookie, sqlite3 *db, const char *name, int pages);

/* The time that dedupe windows go by: never earlier than before. */
uint64_t sq_steady_ms(const struct sq *sq);

/* Say that an operation cannot be done. */
enum store_applied sq_refuse(struct store_op *op, enum err_code code,
    const char *fmt, ...) ATTR_PRINTF(3, 4);

/* The script of that name, made if it is new and ${make}; NULL if it is not
 * there (err->code is ERR_NONE), or on failure. */
struct sq_script *sq_script(struct sq *sq, const char *integration,
    const char *name, int make, struct err *err) ATTR_MUSTCHECK;

/* The script with that id. */
struct sq_script *sq_script_by_id(struct sq *sq, uint64_t id);

/* A job (of a script) or a delivery (NULL) is to be counted in another state;
 * -1 is none. */
void sq_tally(struct sq *sq, struct sq_script *script, int from, int to);

/* The same for a job that may have an ordering key. */
void sq_job_moved(struct sq *sq, struct sq_script *script, uint64_t order_hash,
    int from, int to);

/* Count a record that was put into a segment. */
int sq_count_record(struct sq *sq, const struct segment_ref *ref,
    struct err *err) ATTR_MUSTCHECK;

/* ---- by purpose -------------------------------------------------------------
 */

/* store_sqlite_schema.c: bring the database up to the present version. */
int sq_migrate(struct sq_conn *conn, struct err *err) ATTR_MUSTCHECK;
/* Refuse to make a new database beside bodies: without its rows a body is not
 * known, and goes.  (It is durable before there are any.) */
int sq_check_missing(const struct sq *sq, struct err *err) ATTR_MUSTCHECK;
/* Refuse to bury everything because the folder of the bodies is not there. */
int sq_check_bodies(struct sq *sq, struct err *err) ATTR_MUSTCHECK;

/* store_sqlite_append.c */
enum store_applied sq_append(
    struct sq *sq, struct store_append *op, struct err *err);
/* Make the rows of delivery ${id}, whose record is at ${ref}. */
int sq_insert(struct sq *sq, const struct store_append *op, uint64_t id,
    const struct segment_ref *ref, struct seen_entry *entry,
    struct err *err) ATTR_MUSTCHECK;
/* Make job ${n} of a delivery. */
int sq_new_job(struct sq *sq, uint64_t delivery, unsigned int n,
    const struct store_new_job *job, const char *integration,
    struct err *err) ATTR_MUSTCHECK;
/* The state that a job with this key has to wait in: pending or blocked. */
int sq_waiting_state(const struct sq *sq, uint64_t order_hash);
/* What an ordering key is known by; 0 if there is none. */
uint64_t sq_order_hash(uint64_t script, struct str key);

/* store_sqlite_jobs.c */
enum store_applied sq_claim(
    struct sq *sq, struct store_claim *op, struct err *err);
enum store_applied sq_finish(
    struct sq *sq, struct store_finish *op, struct err *err);
enum store_applied sq_step(
    struct sq *sq, struct store_step_put *op, struct err *err);
/* A job was claimed in a transaction that failed: it goes on running. */
int sq_claim_again(struct sq *sq, const struct running_job *job,
    struct err *err) ATTR_MUSTCHECK;
/* A job with this key gave it up: let the next one go. */
int sq_release_key(struct sq *sq, struct sq_script *script, uint64_t order_hash,
    struct err *err) ATTR_MUSTCHECK;
/* Read a delivery's record, wherever it is kept. */
int sq_read_body(struct sq_conn *conn, struct segment_reader *bodies,
    uint64_t id, const struct segment_ref *ref,
    struct segment_record *ret_record, struct err *err) ATTR_MUSTCHECK;
/* The clock was set back: some retries wait as long as they should, not until
 * it is that late once more.  Returns 1: there may be more, 0, or -1. */
int sq_retry_earlier(struct sq *sq, struct err *err) ATTR_MUSTCHECK;
/* A job with an id from ${id} on can be claimed again. */
void sq_due(struct sq_script *script, uint64_t id);

/*
 * store_sqlite_log.c: the log that a delivery is safe by before its rows are.
 * Its part of a record, from malloc().
 */
struct str sq_row_pack(
    const struct store_append *op, const struct seen_entry *entry);
/* Note what this group has done; ${row} is taken. */
void sq_redo_append(struct sq *sq, enum sq_redo_kind kind, uint64_t id,
    const struct segment_ref *ref, struct str row);
void sq_redo_claim(struct sq *sq, const struct running_job *job);
/* The group is good, with ${all} of it or with its appends alone; it is not;
 * the transaction is committed. */
void sq_redo_keep(struct sq *sq, int all);
void sq_redo_drop(struct sq *sq);
void sq_redo_clear(struct sq *sq);
/* Do again, in a new transaction, what good groups had done. */
int sq_redo(struct sq *sq, struct err *err) ATTR_MUSTCHECK;
/* Make the rows that were not committed when the last host died. */
int sq_recover(struct sq *sq, const char *bodies, uint64_t file, uint64_t used,
    struct err *err) ATTR_MUSTCHECK;

/* store_sqlite_open.c: the engine's open() and close(). */
int sq_open(struct store *store, const struct store_options *options,
    void **ret_self, struct err *err) ATTR_MUSTCHECK;
void sq_close(void *self);

/* store_sqlite_replay.c */
enum store_applied sq_replay(
    struct sq *sq, struct store_replay *op, struct err *err);
enum store_applied sq_discard(
    struct sq *sq, struct store_discard *op, struct err *err);

/* Bury some jobs of scripts that are gone for too long.  1: there are more. */
int sq_bury_gone(struct sq *sq, struct err *err) ATTR_MUSTCHECK;

/* store_sqlite_present.c */
enum store_applied sq_present(
    struct sq *sq, struct store_present *op, struct err *err);

/* store_sqlite_schedule.c */
enum store_applied sq_schedules(
    struct sq *sq, struct store_schedules *op, struct err *err);
/* Take the due time of delivery sq->next_id.  1: it has it; 0: it may not. */
int sq_schedule_take(
    struct sq *sq, struct store_append *op, struct err *err) ATTR_MUSTCHECK;

/* store_sqlite_kv.c */
enum store_applied sq_kv(struct sq *sq, struct store_kv *op, struct err *err);
/* Delete some that have expired.  Returns how many, or -1. */
int sq_kv_expire(struct sq *sq, struct err *err) ATTR_MUSTCHECK;

/* store_sqlite_record.c */
enum store_applied sq_record(
    struct sq *sq, struct store_record *op, struct err *err);
/* Delete those that have expired. */
int sq_record_expire(struct sq *sq, struct err *err) ATTR_MUSTCHECK;

/* What filters look at, as a delivery is written. */
struct sq_look {
	const struct store_list *filter; /* NULL: a single one is shown. */
	int details;
	struct segment_ref ref;
	enum store_state state;
	int script_matches;
	int text_matches;
};

/* store_sqlite_console.c: on the reader's thread and connection. */
void sq_show(struct sq *sq, struct store_get *op);
void sq_counts(struct sq *sq, struct store_counts *op);
/* Write a delivery as an element of an array.  Returns 1, 0 if it is not there
 * or not what the filter looks for, or -1. */
int sq_put_delivery(struct sq *sq, struct buf *b, struct sq_look *look,
    uint64_t id, struct err *err) ATTR_MUSTCHECK;
/* Whether ${needle} is in ${s}, letter case of ASCII aside. */
int sq_contains(struct str s, const char *needle);

/* store_sqlite_list.c: there as well. */
void sq_list(struct sq *sq, struct store_list *op);

/* store_sqlite_present.c: there as well. */
void sq_invalid(struct sq *sq, struct store_invalid_page *op);

/* store_sqlite_retain.c */
uint64_t sq_upkeep(void *self, uint64_t budget_ms);
/* Look how much is there. */
int sq_measure(struct sq *sq, struct err *err) ATTR_MUSTCHECK;
/* Whether there is no room for more. */
int sq_is_full(const struct sq *sq);

#endif /* !STORE_STORE_SQLITE_INTERNAL_H_ */
