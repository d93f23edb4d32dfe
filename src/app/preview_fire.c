#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "catalog/catalog.h"
#include "crypto/signature.h"
#include "net/httpd.h"
#include "json/jdoc.h"
#include "json/jwrite.h"

#include "app/preview_fire.h"

#define RESOURCE "event_alert"
#define ACTION "triggered"

struct fire {
	struct fire *next;
	struct preview_fires *fires;
	struct httpd_request *req; /* NULL: answered. */
	char *script;
	struct buf body;
	struct store_new_job job;
	uint64_t id; /* Of the delivery; 0: not stored yet. */
	int asked;   /* The store looks it up. */
	union {
		struct store_op op;
		struct store_append append;
		struct store_get get;
	} u;
};

struct preview_fires {
	struct preview_fire_options options;
	struct fire *first;
};

struct preview_fires *
preview_fires_create(const struct preview_fire_options *options)
{
	struct preview_fires *fires = mem_zalloc(sizeof(*fires));

	fires->options = *options;
	return fires;
}

static void
fire_free(struct fire *f)
{
	struct fire **at;

	for (at = &f->fires->first; *at != f; at = &(*at)->next)
		;
	*at = f->next;
	buf_free(&f->body);
	free(f->script);
	free(f);
}

void
preview_fires_free(struct preview_fires *fires)
{
	if (fires == NULL)
		return;
	while (fires->first != NULL)
		fire_free(fires->first);
	free(fires);
}

static void
fail(struct fire *f, const struct err *err)
{
	httpd_reply_error(f->req, 500, "failed", err->msg);
	fire_free(f);
}

/* ---- the delivery -----------------------------------------------------------
 */

static void
put_alert(struct jwrite *w, const struct jval *settings)
{
	jwrite_key(w, "issue_alert");
	jwrite_object(w);
	jwrite_member_int(w, "id", 1);
	jwrite_member_text(w, "title", "An alert of the preview");
	jwrite_member_int(w, "sentry_app_id", 1);
	jwrite_key(w, "settings");
	jwrite_jval(w, settings);
	jwrite_object_end(w);
}

/* The sample with other settings. */
static int
make_body(struct fire *f, const struct jval *settings, struct err *err)
{
	struct buf sample = BUF_INIT;
	struct jdoc doc = {0};
	struct jwrite w = jwrite_begin(&f->body, 0);
	const struct jval *root, *e, *m;
	size_t i, k;
	int rc = -1;

	if (catalog_sample(f->fires->options.catalog, RESOURCE "." ACTION,
		&sample, err) == -1 ||
	    jdoc_parse(&doc, sample.data, sample.len, NULL, err) == -1)
		goto out;
	root = jdoc_root(&doc);
	jwrite_object(&w);
	for (i = 0, e = root + 1; i < root->len; i++, e = jval_next(e + 1)) {
		jwrite_keyn(&w, jval_str(e));
		if (!str_eq(jval_str(e), STR("data"))) {
			jwrite_jval(&w, e + 1);
			continue;
		}
		jwrite_object(&w);
		for (k = 0, m = e + 2; k < (e + 1)->len;
		     k++, m = jval_next(m + 1)) {
			if (str_eq(jval_str(m), STR("issue_alert")))
				continue;
			jwrite_keyn(&w, jval_str(m));
			jwrite_jval(&w, m + 1);
		}
		put_alert(&w, settings);
		jwrite_object_end(&w);
	}
	jwrite_object_end(&w);
	rc = 0;

out:
	jdoc_free(&doc);
	buf_free(&sample);
	return rc;
}

static void
appended(struct store_op *op)
{
	struct fire *f = op->cookie;

	if (op->rc == -1)
		fail(f, &op->err);
	else
		f->id = f->u.append.ret_id;
}

void
preview_fire(struct preview_fires *fires, struct httpd_request *req,
    const char *script, const struct jval *settings)
{
	struct fire *f = mem_zalloc(sizeof(*f));
	struct store_append *a = &f->u.append;
	struct err err = ERR_INIT;

	f->fires = fires;
	f->next = fires->first;
	fires->first = f;
	f->req = req;
	f->script = mem_strdup(script);
	f->job = (struct store_new_job){f->script, CATALOG_FIRE, {"", 0}};
	if (make_body(f, settings, &err) == -1) {
		fail(f, &err);
		return;
	}
	a->op.kind = STORE_OP_APPEND;
	a->op.reply_to = fires->options.mailbox;
	a->op.done = appended;
	a->op.cookie = f;
	a->state = STORE_PENDING;
	a->integration = fires->options.integration;
	a->resource = RESOURCE;
	a->channel = "alert";
	a->action = ACTION;
	a->headers_json = STR("{\"Sentry-Hook-Resource\":\"" RESOURCE "\"}");
	a->body = (struct str){f->body.data, f->body.len};
	a->received_unix_ms = clock_unix_ms();
	a->jobs = &f->job;
	a->njobs = 1;
	if (store_submit(fires->options.store, &a->op, &err) == -1)
		fail(f, &err);
}

/* ---- what came of it
 * ---------------------------------------------------------- */

static void
put_run(struct jwrite *w, const struct fire *f, const struct jval *run)
{
	static const char *const keys[] = {
	    "outcome", "duration_ms", "error", "traceback", "log", "calls"};
	const struct jval *v;
	size_t i;

	jwrite_key(w, "run");
	jwrite_object(w);
	jwrite_member_text(w, "script", f->script);
	for (i = 0; i < NELEMS(keys); i++) {
		v = jdoc_gets(run, keys[i]);
		jwrite_key(w, keys[i]);
		if (v != NULL)
			jwrite_jval(w, v);
		else
			jwrite_null(w);
	}
	jwrite_object_end(w);
}

static void
looked_up(struct store_op *op)
{
	struct fire *f = op->cookie;
	char hex[SIGNATURE_HEX + 1], *json = f->u.get.ret_json;
	struct buf body = BUF_INIT;
	struct jwrite w = jwrite_begin(&body, 0);
	const struct jval *runs;
	struct jdoc doc = {0};

	if (op->rc == 0 &&
	    jdoc_parse(&doc, json, f->u.get.ret_jsonlen, NULL, &op->err) == -1)
		op->rc = -1;
	if (op->rc == -1) {
		fail(f, &op->err);
		free(json);
		return;
	}
	runs =
	    jdoc_gets(jdoc_at(jdoc_gets(jdoc_root(&doc), "jobs"), 0), "runs");
	signature_sign(f->fires->options.key, f->body.data, f->body.len, hex);
	jwrite_object(&w);
	jwrite_key(&w, "request");
	jwrite_object(&w);
	jwrite_member_text(&w, "method", "POST");
	jwrite_member_text(&w, "path", "/webhook");
	jwrite_key(&w, "headers");
	jwrite_object(&w);
	jwrite_member_text(&w, "Sentry-Hook-Resource", RESOURCE);
	jwrite_member_text(&w, "Sentry-Hook-Signature", hex);
	jwrite_object_end(&w);
	jwrite_key(&w, "body");
	jwrite_str(&w, (struct str){f->body.data, f->body.len});
	jwrite_object_end(&w);
	put_run(&w, f, runs == NULL ? NULL : jdoc_at(runs, 0));
	jwrite_object_end(&w);
	httpd_reply_json(f->req, 200, (struct str){body.data, body.len});
	buf_free(&body);
	jdoc_free(&doc);
	free(json);
	fire_free(f);
}

void
preview_fire_job(struct preview_fires *fires, const struct store_job *job,
    enum store_state state)
{
	struct err err = ERR_INIT;
	struct fire *f;

	for (f = fires->first; f != NULL && f->id != job->delivery_id;
	     f = f->next)
		;
	if (f == NULL || f->asked || state == STORE_RUNNING ||
	    state == STORE_PENDING)
		return;
	f->asked = 1;
	(void)memset(&f->u, 0, sizeof(f->u));
	f->u.op.kind = STORE_OP_GET;
	f->u.op.reply_to = fires->options.mailbox;
	f->u.op.done = looked_up;
	f->u.op.cookie = f;
	f->u.get.id = f->id;
	if (store_submit(fires->options.store, &f->u.op, &err) == -1)
		fail(f, &err);
}
