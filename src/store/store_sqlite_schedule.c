#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

#include "store/store_sqlite_internal.h"

#define DAY_S 86400

/* Which schedule is meant. */
struct key {
	const char *integration;
	const char *script;
	const char *name;
};

static void
bind_key(sqlite3_stmt *stmt, const struct key *key)
{
	sq_bind_text(stmt, 1, key->integration);
	sq_bind_text(stmt, 2, key->script);
	sq_bind_text(stmt, 3, key->name);
}

/* What is known of a schedule. */
struct known {
	int64_t last_unix_s;
	uint64_t delivery; /* Its last one; 0: none yet. */
	int same_rule;
};

/* Returns 1, 0 if nothing is known (and ${ret} is as it was), -1 on failure. */
static int
read_known(struct sq *sq, const struct key *key, const char *rule,
    struct known *ret, struct err *err)
{
	sqlite3_stmt *stmt;
	int rc;

	stmt = sq_get(&sq->conn, SQ_SCHEDULE_LAST,
	    "SELECT last, delivery, rule FROM schedule"
	    " WHERE integration = ? AND script = ? AND name = ?",
	    err);
	if (stmt == NULL)
		return -1;
	bind_key(stmt, key);
	rc = sq_row(&sq->conn, stmt, err);
	if (rc == 1) {
		ret->last_unix_s = (int64_t)sq_u64(stmt, 0);
		ret->delivery = sq_u64(stmt, 1);
		ret->same_rule =
		    rule != NULL && strcmp(sq_text(stmt, 2), rule) == 0;
	}
	(void)sqlite3_reset(stmt);
	return rc;
}

/* Whether the job of a delivery is pending or runs. */
static int
is_busy(struct sq *sq, uint64_t delivery, struct err *err)
{
	sqlite3_stmt *stmt;
	uint64_t state;
	int rc;

	stmt = sq_get(&sq->conn, SQ_SCHEDULE_BUSY,
	    "SELECT state FROM job WHERE id = ?", err);
	if (stmt == NULL)
		return -1;
	sq_bind(stmt, 1, delivery << SQ_JOB_BITS);
	rc = sq_row(&sq->conn, stmt, err);
	if (rc == 1) {
		state = sq_u64(stmt, 0);
		rc = state == STORE_PENDING || state == STORE_RUNNING ||
		     state == SQ_BLOCKED;
	}
	(void)sqlite3_reset(stmt);
	return rc;
}

int
sq_schedule_take(struct sq *sq, struct store_append *op, struct err *err)
{
	const struct key key = {
	    op->integration, op->schedule_script, op->schedule};
	struct known known = {0};
	sqlite3_stmt *stmt;
	int rc;

	rc = read_known(sq, &key, NULL, &known, err);
	if (rc == -1)
		return -1;
	if (rc == 1) {
		op->ret_last_unix_s = known.last_unix_s;
		if (known.last_unix_s >= op->due_unix_s)
			return 0;
		op->ret_busy = is_busy(sq, known.delivery, err);
		if (op->ret_busy != 0)
			return op->ret_busy == -1 ? -1 : 0;
	}
	stmt = sq_get(&sq->conn, SQ_SCHEDULE_SET,
	    "INSERT INTO schedule"
	    " (integration, script, name, rule, last, delivery)"
	    " VALUES (?1, ?2, ?3, '', ?4, ?5)"
	    " ON CONFLICT DO UPDATE SET last = ?4, delivery = ?5",
	    err);
	if (stmt == NULL)
		return -1;
	bind_key(stmt, &key);
	sq_bind(stmt, 4, (uint64_t)op->due_unix_s);
	sq_bind(stmt, 5, sq->next_id);
	op->ret_last_unix_s = op->due_unix_s;
	return sq_run(&sq->conn, stmt, err) == -1 ? -1 : 1;
}

/* A schedule begins with another rule. */
static int
write_rule(struct sq *sq, const struct key *key, const char *rule,
    int64_t last_unix_s, struct err *err)
{
	sqlite3_stmt *stmt;

	stmt = sq_get(&sq->conn, SQ_SCHEDULE_RULE,
	    "INSERT INTO schedule (integration, script, name, rule, last)"
	    " VALUES (?1, ?2, ?3, ?4, ?5)"
	    " ON CONFLICT DO UPDATE SET rule = ?4, last = ?5",
	    err);
	if (stmt == NULL)
		return -1;
	bind_key(stmt, key);
	sq_bind_text(stmt, 4, rule);
	sq_bind(stmt, 5, (uint64_t)last_unix_s);
	return sq_run(&sq->conn, stmt, err);
}

static int
is_listed(const struct store_schedules *op, const char *name)
{
	size_t i;

	for (i = 0; i < op->nschedules; i++)
		if (strcmp(op->schedules[i].name, name) == 0)
			return 1;
	return 0;
}

/* The name of one that the script does not have any more.  1, 0: none. */
static int
find_forgotten(struct sq *sq, const struct store_schedules *op, char **ret_name,
    struct err *err)
{
	sqlite3_stmt *stmt;
	int rc;

	stmt = sq_get(&sq->conn, SQ_SCHEDULE_LIST,
	    "SELECT name FROM schedule WHERE integration = ? AND script = ?",
	    err);
	if (stmt == NULL)
		return -1;
	sq_bind_text(stmt, 1, op->integration);
	sq_bind_text(stmt, 2, op->script);
	while ((rc = sq_row(&sq->conn, stmt, err)) == 1) {
		if (!is_listed(op, sq_text(stmt, 0))) {
			*ret_name = mem_strdup(sq_text(stmt, 0));
			break;
		}
	}
	(void)sqlite3_reset(stmt);
	return rc;
}

static int
forget_others(struct sq *sq, const struct store_schedules *op, struct err *err)
{
	sqlite3_stmt *stmt;
	char *name = NULL;
	int rc;

	while ((rc = find_forgotten(sq, op, &name, err)) == 1) {
		stmt = sq_get(&sq->conn, SQ_SCHEDULE_DEL,
		    "DELETE FROM schedule"
		    " WHERE integration = ? AND script = ? AND name = ?",
		    err);
		if (stmt != NULL)
			bind_key(stmt,
			    &(struct key){op->integration, op->script, name});
		rc = stmt == NULL ? -1 : sq_run(&sq->conn, stmt, err);
		free(name);
		if (rc == -1)
			break;
	}
	return rc;
}

enum store_applied
sq_schedules(struct sq *sq, struct store_schedules *op, struct err *err)
{
	struct key key = {op->integration, op->script, NULL};
	struct store_schedule *s;
	struct known known;
	size_t i;
	int rc;

	for (i = 0; i < op->nschedules; i++) {
		s = &op->schedules[i];
		key.name = s->name;
		known = (struct known){op->now_unix_s, 0, 0};
		rc = read_known(sq, &key, s->rule, &known, err);
		if (known.last_unix_s > op->now_unix_s + DAY_S) {
			known.last_unix_s = op->now_unix_s;
			known.same_rule = 0;
		}
		/* Never back: what has run does not run again. */
		if (!known.same_rule && known.last_unix_s < op->now_unix_s)
			known.last_unix_s = op->now_unix_s;
		if (rc != -1 && !known.same_rule)
			rc = write_rule(
			    sq, &key, s->rule, known.last_unix_s, err);
		if (rc == -1)
			return STORE_APPLIED_FAILED;
		s->ret_last_unix_s = known.last_unix_s;
	}
	return forget_others(sq, op, err) == -1 ? STORE_APPLIED_FAILED
						: STORE_APPLIED;
}
