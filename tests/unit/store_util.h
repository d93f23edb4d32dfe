#ifndef UNIT_STORE_UTIL_H_
#define UNIT_STORE_UTIL_H_

/*
 * What the tests of the store share: a folder that goes away, and operations
 * that are waited for.
 */

#include <sys/stat.h>
#include <sys/wait.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/clock.h"
#include "base/mem.h"

#include "store/store.h"

#define HOUR_MS 3600000U

static char util_dir[64];
static struct store *util_store;
static struct mailbox *util_box;

/* Remove a folder with all that is in it. */
static inline void
util_remove(const char *dir)
{
	struct dirent *entry;
	char *path;
	DIR *d = opendir(dir);

	if (d == NULL)
		return;
	while ((entry = readdir(d)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0)
			continue;
		path = mem_printf("%s/%s", dir, entry->d_name);
		if (unlink(path) == -1)
			util_remove(path);
		free(path);
	}
	(void)closedir(d);
	(void)rmdir(dir);
}

static inline void
util_setup(void)
{
	(void)strcpy(util_dir, "/tmp/moonpost-store-XXXXXX");
	cr_assert_not_null(mkdtemp(util_dir));
	util_box = mailbox_create(1000);
}

static inline void
util_teardown(void)
{
	store_close(util_store);
	util_store = NULL;
	mailbox_open_all(util_box);
	mailbox_free(util_box);
	util_remove(util_dir);
}

static inline struct store_options
util_options(void)
{
	struct store_options o;

	(void)memset(&o, 0, sizeof(o));
	o.path = util_dir;
	o.dedupe_window_ms = HOUR_MS;
	o.commit_ms = 1;
	return o;
}

static inline void
util_open_with(const struct store_options *options)
{
	struct err err = ERR_INIT;

	cr_assert_eq(store_open(options, &util_store, &err), 0, "%s", err.msg);
}

static inline void
util_open(void)
{
	struct store_options o = util_options();

	util_open_with(&o);
}

static inline void
util_close(void)
{
	store_close(util_store);
	util_store = NULL;
	mailbox_open_all(util_box);
}

static inline void
util_done(struct store_op *op)
{
	*(int *)op->cookie = 1;
}

/* Do an operation and wait for it.  Returns its rc. */
static inline int
util_do(struct store_op *op, enum store_kind kind)
{
	struct err err = ERR_INIT;
	int done = 0;

	op->kind = kind;
	op->reply_to = util_box;
	op->done = util_done;
	op->cookie = &done;
	cr_assert_eq(store_submit(util_store, op, &err), 0, "%s", err.msg);
	while (!done) {
		mailbox_wait(util_box, 10000);
		mailbox_open_all(util_box);
	}
	return op->rc;
}

/* A delivery with one job for a script; fields may be changed before use. */
struct util_delivery {
	struct store_append op;
	struct store_new_job jobs[2];
};

static inline void
util_delivery(struct util_delivery *d, const char *script, const char *body)
{
	(void)memset(d, 0, sizeof(*d));
	d->op.state = STORE_PENDING;
	d->op.integration = "default";
	d->op.channel = "issue";
	d->op.resource = "issue";
	d->op.action = "created";
	d->op.headers_json = STR("{\"Host\":\"x\"}");
	d->op.body = str_of(body);
	d->op.received_unix_ms = clock_unix_ms();
	d->op.jobs = d->jobs;
	d->op.njobs = 1;
	d->jobs[0].script = script;
	d->jobs[0].handler = "on_issue";
}

/* Append it; returns its id. */
static inline uint64_t
util_append(struct util_delivery *d)
{
	cr_assert_eq(
	    util_do(&d->op.op, STORE_OP_APPEND), 0, "%s", d->op.op.err.msg);
	return d->op.ret_id;
}

static inline uint64_t
util_add(const char *script, const char *body, const char *order_key)
{
	struct util_delivery d;

	util_delivery(&d, script, body);
	d.jobs[0].order_key = str_of(order_key);
	return util_append(&d);
}

static inline void
util_claim(struct store_claim *c, const char *script, size_t max)
{
	(void)memset(c, 0, sizeof(*c));
	c->integration = "default";
	c->script = script;
	c->max = max;
	cr_assert_eq(util_do(&c->op, STORE_OP_CLAIM), 0, "%s", c->op.err.msg);
}

/* How many can be claimed; they stay claimed. */
static inline size_t
util_claimable(const char *script)
{
	struct store_claim c;
	size_t n;

	util_claim(&c, script, 1000);
	n = c.ret_njobs;
	store_claim_clear(&c);
	return n;
}

static inline int
util_finish(uint64_t job, enum store_state state, uint64_t next_unix_ms)
{
	struct store_finish f;
	struct store_run run;

	(void)memset(&f, 0, sizeof(f));
	(void)memset(&run, 0, sizeof(run));
	run.started_unix_ms = clock_unix_ms();
	run.duration_ms = 5;
	run.cpu_us = 1234;
	run.outcome = state == STORE_DONE ? "done" : "error";
	run.error = state == STORE_DONE ? NULL : "x.lua:1: boom";
	f.job_id = job;
	f.state = state;
	f.next_unix_ms = next_unix_ms;
	f.run = state == STORE_PENDING ? NULL : &run;
	return util_do(&f.op, STORE_OP_FINISH);
}

/* Claim one job, which must be there; returns its id. */
static inline uint64_t
util_claim_one(const char *script, uint64_t *ret_delivery)
{
	struct store_claim c;
	uint64_t id;

	util_claim(&c, script, 1);
	cr_assert_eq(c.ret_njobs, 1);
	id = c.ret_jobs[0]->id;
	if (ret_delivery != NULL)
		*ret_delivery = c.ret_jobs[0]->delivery_id;
	store_claim_clear(&c);
	return id;
}

/* Run the jobs of a script that are due to the given end; returns how many. */
static inline size_t
util_run_all(const char *script, enum store_state state)
{
	struct store_claim c;
	size_t n = 0, i;

	for (;;) {
		util_claim(&c, script, 100);
		for (i = 0; i < c.ret_njobs; i++) {
			cr_assert_eq(
			    util_finish(c.ret_jobs[i]->id, state, 1), 0);
			n++;
		}
		i = c.ret_njobs;
		store_claim_clear(&c);
		if (i == 0)
			return n;
	}
}

static inline void
util_counts(struct store_counts *c, const char *script)
{
	(void)memset(c, 0, sizeof(*c));
	c->integration = script == NULL ? NULL : "default";
	c->script = script;
	cr_assert_eq(util_do(&c->op, STORE_OP_COUNTS), 0, "%s", c->op.err.msg);
}

#endif /* !UNIT_STORE_UTIL_H_ */
