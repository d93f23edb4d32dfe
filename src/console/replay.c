#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "catalog/catalog.h"
#include "catalog/routes.h"
#include "net/httpd.h"

#include "console/console_internal.h"
#include "console/query.h"

/*
 * A replay is a chain of operations.  Jobs that are there are put back by one.
 * A delivery that has none (invalid, unhandled) is read first, to see who would
 * get it now; many of those are gone through page by page.
 */

/* Deliveries that are looked up at a time. */
#define PAGE 100

struct replay {
	struct console *console;
	struct httpd_request *req;
	char *state;
	char *script;
	char *integration;
	uint64_t since_unix_ms;
	char **scripts; /* Asked for; NULL where none were named. */
	size_t nscripts;
	int all;
	int many; /* By filter. */
	uint64_t id;
	uint64_t count;

	/* Of many: the page, and where we are in it. */
	uint64_t ids[PAGE];
	size_t nids, at;
	uint64_t before;

	/* Of one: the jobs that it gets. */
	char *got_integration;
	struct routes *routes; /* A reference: their names. */
	struct store_new_job *jobs;
	size_t njobs;
	struct buf order_key;

	union {
		struct store_op op;
		struct store_list list;
		struct store_get get;
		struct store_replay replay;
	} u;
};

static void next_of_many(struct replay *r);

static void
replay_free(struct replay *r)
{
	size_t i;

	for (i = 0; i < r->nscripts; i++)
		free(r->scripts[i]);
	free(r->scripts);
	free(r->state);
	free(r->script);
	free(r->integration);
	free(r->got_integration);
	free(r->jobs);
	buf_free(&r->order_key);
	routes_unref(r->routes);
	free(r);
}

static void
answer_count(struct replay *r)
{
	char text[48];
	int n;

	log_info("deliveries replayed", LOG_STR("state", r->state),
	    LOG_OPT("script", r->script),
	    LOG_OPT("integration", r->integration), LOG_INT("jobs", r->count));
	n = snprintf(text, sizeof(text), "{\"count\":%llu}",
	    (unsigned long long)r->count);
	httpd_reply_json(r->req, 200, (struct str){text, (size_t)n});
	replay_free(r);
}

static void
answer_replayed(struct replay *r, const char *names)
{
	struct buf text = BUF_INIT;
	char id[24];

	(void)snprintf(id, sizeof(id), "%llu", (unsigned long long)r->id);
	log_info("delivery replayed", LOG_STR("delivery", id),
	    LOG_JSON("scripts", names, strlen(names)),
	    LOG_INT("jobs", r->count));
	buf_printf(&text, "{\"replayed\":%s}", names);
	httpd_reply_json(r->req, 200, (struct str){text.data, text.len});
	buf_free(&text);
	replay_free(r);
}

static void
fail(struct replay *r, const struct err *err)
{
	console_reply_err(r->req, err);
	replay_free(r);
}

static void
submit(struct replay *r, enum store_kind kind, store_done_cb *done)
{
	r->u.op.kind = kind;
	r->u.op.done = done;
	r->u.op.cookie = r;
	if (console_submit(r->console, r->req, &r->u.op) == -1)
		replay_free(r);
}

/* ---- a delivery without jobs -----------------------------------------------
 */

static int
is_asked_for(const struct replay *r, const char *script)
{
	size_t i;

	if (r->script != NULL && strcmp(r->script, script) != 0)
		return 0;
	for (i = 0; i < r->nscripts; i++) {
		if (strcmp(r->scripts[i], script) == 0)
			return 1;
	}
	return r->nscripts == 0;
}

/* Who would get it now. */
static void
find_jobs(struct replay *r, const struct jval *delivery)
{
	const struct console_options *o = &r->console->options;
	struct routes *now = o->routes == NULL ? NULL : o->routes(o->cookie);
	struct str resource = jdoc_get_str(delivery, "resource");
	struct str integration = jdoc_get_str(delivery, "integration");
	const struct route *routes;
	size_t n, i;

	free(r->got_integration);
	r->got_integration = mem_strndup(integration.data, integration.len);
	r->njobs = 0;
	buf_reset(&r->order_key);
	if (now == NULL)
		return;
	routes_unref(r->routes);
	r->routes = routes_ref(now);
	routes_order_key(jdoc_gets(delivery, "payload"), &r->order_key);
	routes = routes_find(
	    now, r->got_integration, catalog_find(o->catalog, resource), &n);
	free(r->jobs);
	r->jobs = mem_array(n + 1, sizeof(*r->jobs));
	for (i = 0; i < n; i++) {
		if (is_asked_for(r, routes[i].script))
			r->jobs[r->njobs++] = (struct store_new_job){
			    routes[i].script, routes[i].handler,
			    {buf_text(&r->order_key), r->order_key.len}};
	}
}

static void
given(struct store_op *op)
{
	struct replay *r = op->cookie;
	char *names = r->u.replay.ret_json;

	/* Of many, one may have gone meanwhile. */
	if (op->rc == -1 && !(r->many && op->err.code == ERR_NOT_FOUND)) {
		fail(r, &op->err);
	} else if (r->many) {
		r->count += op->rc == -1 ? 0 : r->u.replay.ret_count;
		next_of_many(r);
	} else {
		r->count = r->u.replay.ret_count;
		answer_replayed(r, names);
	}
	free(names);
}

static int
is_jobless(const struct jval *delivery)
{
	struct str state = jdoc_get_str(delivery, "state");

	return str_eq(state, STR("invalid")) || str_eq(state, STR("unhandled"));
}

/* It was read: give it its jobs. */
static void
looked_up(struct store_op *op)
{
	struct replay *r = op->cookie;
	char *json = r->u.get.ret_json;
	size_t len = r->u.get.ret_jsonlen;
	struct err err = op->err;
	struct jdoc doc = {0};
	int rc = op->rc;

	if (rc == 0)
		rc = jdoc_parse(&doc, json, len, NULL, &err);
	if (rc == 0 && !is_jobless(jdoc_root(&doc)))
		r->njobs = 0;
	else if (rc == 0)
		find_jobs(r, jdoc_root(&doc));
	jdoc_free(&doc);
	if (rc == -1 && !(r->many && err.code == ERR_NOT_FOUND)) {
		fail(r, &err);
	} else if (rc == -1 || r->njobs == 0) {
		/* Nobody wants it, or it is gone. */
		if (r->many)
			next_of_many(r);
		else
			answer_replayed(r, "[]");
	} else {
		(void)memset(&r->u, 0, sizeof(r->u));
		r->u.replay.id = r->id;
		r->u.replay.jobs = r->jobs;
		r->u.replay.njobs = r->njobs;
		submit(r, STORE_OP_REPLAY, given);
	}
	free(json);
}

static void
look_up(struct replay *r)
{
	(void)memset(&r->u, 0, sizeof(r->u));
	r->u.get.id = r->id;
	submit(r, STORE_OP_GET, looked_up);
}

/* ---- many of those ---------------------------------------------------------
 */

/* A page of them. */
static void
listed(struct store_op *op)
{
	struct replay *r = op->cookie;
	char *json = r->u.list.ret_json;
	const struct jval *list, *e;
	struct jdoc doc = {0};
	struct err err = op->err;
	size_t i;

	if (op->rc == -1 ||
	    jdoc_parse(&doc, json, r->u.list.ret_jsonlen, NULL, &err) == -1) {
		fail(r, &err);
		goto out;
	}
	list = jdoc_gets(jdoc_root(&doc), "deliveries");
	r->nids = r->at = 0;
	for (e = list + 1, i = 0; i < list->len && r->nids < PAGE;
	     i++, e = jval_next(e)) {
		if (str_parse_u64(jdoc_get_str(e, "id"), UINT64_MAX,
			&r->ids[r->nids]) == 0)
			r->nids++;
	}
	if (str_parse_u64(jdoc_get_str(jdoc_root(&doc), "next"), UINT64_MAX,
		&r->before) == -1)
		r->before = 0;
	if (r->nids == 0 && r->before == 0)
		answer_count(r);
	else
		next_of_many(r);
out:
	jdoc_free(&doc);
	free(json);
}

static void
next_page(struct replay *r)
{
	(void)memset(&r->u, 0, sizeof(r->u));
	r->u.list.state = r->state;
	r->u.list.integration = r->integration;
	r->u.list.since_unix_ms = r->since_unix_ms;
	r->u.list.before_id = r->before;
	r->u.list.limit = PAGE;
	submit(r, STORE_OP_LIST, listed);
}

static void
next_of_many(struct replay *r)
{
	if (r->at < r->nids) {
		r->id = r->ids[r->at++];
		look_up(r);
	} else if (r->before != 0) {
		next_page(r);
	} else {
		answer_count(r);
	}
}

/* ---- jobs that are there ---------------------------------------------------
 */

static void
replayed(struct store_op *op)
{
	struct replay *r = op->cookie;
	struct store_replay *done = &r->u.replay;
	char *names = done->ret_json;

	if (op->rc == -1) {
		fail(r, &op->err);
	} else if (r->many) {
		r->count = done->ret_count;
		answer_count(r);
	} else if (done->ret_count == 0) {
		/* Perhaps it never had a job. */
		look_up(r);
	} else {
		r->count = done->ret_count;
		answer_replayed(r, names);
	}
	free(names);
}

static void
begin(struct replay *r)
{
	struct store_replay *op = &r->u.replay;

	if (r->many && (strcmp(r->state, "invalid") == 0 ||
			   strcmp(r->state, "unhandled") == 0)) {
		next_page(r);
		return;
	}
	op->id = r->id;
	op->state = r->state;
	op->integration = r->integration;
	op->script = r->script;
	op->since_unix_ms = r->since_unix_ms;
	op->scripts = (const char *const *)r->scripts;
	op->nscripts = r->nscripts;
	op->all = r->all;
	submit(r, STORE_OP_REPLAY, replayed);
}

/* ---- what was asked for ----------------------------------------------------
 */

static int
read_flag(const struct jval *body, const char *name, int *ret, struct err *err)
{
	const struct jval *v = jdoc_gets(body, name);

	*ret = v != NULL && jval_kind(v) == JDOC_TRUE;
	if (v == NULL || *ret || jval_kind(v) == JDOC_FALSE)
		return 0;
	return err_set(err, ERR_INVALID, "%s must be true or false", name);
}

static int
read_scripts(struct replay *r, const struct jval *body, struct err *err)
{
	const struct jval *list = jdoc_gets(body, "scripts"), *e;
	size_t i;

	if (list == NULL || jval_kind(list) == JDOC_NULL)
		return 0;
	if (jval_kind(list) != JDOC_ARRAY || list->len == 0)
		return err_set(err, ERR_INVALID,
		    "scripts must be an array of names; leave it out for those "
		    "that failed");
	r->scripts = mem_array(list->len, sizeof(*r->scripts));
	for (e = list + 1, i = 0; i < list->len; i++, e = jval_next(e)) {
		if (jval_kind(e) != JDOC_STRING)
			return err_set(err, ERR_INVALID,
			    "scripts must be an array of names");
		r->scripts[r->nscripts++] =
		    mem_strndup(jval_str(e).data, jval_str(e).len);
	}
	return 0;
}

static int
read_filter(struct replay *r, const struct jval *body, struct err *err)
{
	enum store_state state;
	char *since = NULL;
	int rc = -1;

	if (console_body_text(body, "state", &r->state, err) == -1 ||
	    console_body_text(body, "script", &r->script, err) == -1 ||
	    console_body_text(body, "integration", &r->integration, err) ==
		-1 ||
	    console_body_text(body, "since", &since, err) == -1)
		goto out;
	if (r->state == NULL) {
		(void)err_set(err, ERR_INVALID,
		    "name a state: dead, dropped, retrying, done, invalid or "
		    "unhandled");
		goto out;
	}
	if (store_state_parse(r->state, &state) == -1 ||
	    state == STORE_PENDING || state == STORE_RUNNING) {
		(void)err_set(err, ERR_INVALID,
		    "state: '%.40s' cannot be replayed; dead, dropped, "
		    "retrying, done, invalid and unhandled can",
		    r->state);
		goto out;
	}
	if (since != NULL &&
	    query_time(since, clock_unix_ms(), &r->since_unix_ms, err) == -1) {
		(void)err_prefix(err, "since");
		goto out;
	}
	rc = 0;
out:
	free(since);
	return rc;
}

void
replay_post(struct console *console, struct httpd_request *req, uint64_t id)
{
	static const char *const one[] = {"scripts", "all", NULL};
	static const char *const many[] = {
	    "state", "script", "integration", "since", NULL};
	struct replay *r;
	struct err err = ERR_INIT;
	struct jdoc doc = {0};
	const struct jval *body;
	int rc;

	body = console_read_body(req, id != 0 ? one : many, &doc);
	if (body == NULL) {
		jdoc_free(&doc);
		return;
	}
	r = mem_zalloc(sizeof(*r));
	r->console = console;
	r->req = req;
	r->id = id;
	r->many = id == 0;
	if (r->many)
		rc = read_filter(r, body, &err);
	else if ((rc = read_scripts(r, body, &err)) == 0)
		rc = read_flag(body, "all", &r->all, &err);
	jdoc_free(&doc);
	if (rc == -1)
		fail(r, &err);
	else
		begin(r);
}
