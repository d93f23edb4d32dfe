#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/form.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/httpd.h"
#include "net/loop.h"
#include "json/jwrite.h"

#include "console/console_internal.h"
#include "console/query.h"

/* ---- what waits for a script ------------------------------------------------
 * The store counts, for each script or for one; then they are written.
 */

struct counted {
	struct store_counts op;
	struct census *census;
	char *integration;
	char *name;
};

struct census {
	struct console *console;
	struct httpd_request *req; /* NULL: for the events. */
	struct counted *scripts;
	size_t n;
	size_t left;
};

static void
write_script(const struct counted *s, struct jwrite *w)
{
	const struct console_options *o = &s->census->console->options;
	const uint64_t *jobs = s->op.ret_jobs;

	jwrite_object(w);
	o->write_script(o->cookie, s->integration, s->name, w);
	if (s->op.op.rc == 0) {
		jwrite_member_int(w, "pending", (int64_t)jobs[STORE_PENDING]);
		jwrite_member_int(w, "retrying", (int64_t)jobs[STORE_RETRYING]);
		jwrite_member_int(w, "dead", (int64_t)jobs[STORE_DEAD]);
	}
	jwrite_object_end(w);
}

static void
finish_census(struct census *c)
{
	struct buf text = BUF_INIT;
	struct jwrite w = jwrite_begin(&text, 0);
	size_t i;

	if (c->req != NULL) {
		jwrite_object(&w);
		jwrite_key(&w, "scripts");
		jwrite_array(&w);
	}
	for (i = 0; i < c->n; i++)
		write_script(&c->scripts[i], &w);
	if (c->req != NULL) {
		jwrite_array_end(&w);
		jwrite_object_end(&w);
		console_reply_json(
		    c->console, c->req, (struct str){text.data, text.len});
	} else {
		console_put_event(
		    c->console, "script", (struct str){text.data, text.len});
	}
	buf_free(&text);
	for (i = 0; i < c->n; i++) {
		free(c->scripts[i].integration);
		free(c->scripts[i].name);
	}
	free(c->scripts);
	free(c);
}

static void
counted(struct store_op *op)
{
	struct counted *s = op->cookie;

	if (--s->census->left == 0)
		finish_census(s->census);
}

/* Count for all scripts that were added. */
static void
begin_census(struct census *c)
{
	struct store *store = c->console->options.store;
	struct counted *s;
	size_t i;

	/* One more, so that it is not over while it begins. */
	c->left = c->n + 1;
	for (i = 0; i < c->n; i++) {
		s = &c->scripts[i];
		s->op.op.kind = STORE_OP_COUNTS;
		s->op.op.reply_to = loop_mailbox(c->console->options.loop);
		s->op.op.done = counted;
		s->op.op.cookie = s;
		s->op.integration = s->integration;
		s->op.script = s->name;
		s->census = c;

		/* Without its numbers it is shown all the same. */
		if (store_submit(store, &s->op.op, &s->op.op.err) == -1) {
			s->op.op.rc = -1;
			c->left--;
		}
	}
	if (--c->left == 0)
		finish_census(c);
}

static void
add_script(struct census *c, const char *integration, const char *name)
{
	c->scripts = mem_realloc(c->scripts, (c->n + 1) * sizeof(*c->scripts));
	(void)memset(&c->scripts[c->n], 0, sizeof(*c->scripts));
	c->scripts[c->n].integration = mem_strdup(integration);
	c->scripts[c->n++].name = mem_strdup(name);
}

void
scripts_list(struct console *console, struct httpd_request *req)
{
	const struct console_options *o = &console->options;
	struct census *c = mem_zalloc(sizeof(*c));
	struct console_script script;
	size_t i;

	c->console = console;
	c->req = req;
	for (i = 0; o->script(o->cookie, i, &script) == 0; i++)
		add_script(c, script.integration, script.name);
	begin_census(c);
}

void
console_tell_script(
    struct console *console, const char *integration, const char *name)
{
	struct census *c;

	if (!console_is_followed(console))
		return;
	c = mem_zalloc(sizeof(*c));
	c->console = console;
	add_script(c, integration, name);
	begin_census(c);
}

/* ---- reload
 * ------------------------------------------------------------------
 */

struct reload {
	struct reload *next;
	struct httpd_request *req;
};

/* What serves, and what does not because its newest version is bad. */
static void
write_outcome(struct console *console, struct buf *out)
{
	const struct console_options *o = &console->options;
	struct jwrite w = jwrite_begin(out, 0);
	struct console_script script;
	size_t i;

	jwrite_object(&w);
	jwrite_key(&w, "loaded");
	jwrite_array(&w);
	for (i = 0; o->script(o->cookie, i, &script) == 0; i++) {
		if (strcmp(script.state, "loaded") == 0)
			jwrite_text(&w, script.name);
	}
	jwrite_array_end(&w);
	jwrite_key(&w, "failed");
	jwrite_array(&w);
	for (i = 0; o->script(o->cookie, i, &script) == 0; i++) {
		if (script.error == NULL ||
		    strcmp(script.state, "removed") == 0)
			continue;
		jwrite_object(&w);
		jwrite_member_text(&w, "name", script.name);
		jwrite_member_text(&w, "integration", script.integration);
		jwrite_member_text(&w, "error", script.error);
		jwrite_object_end(&w);
	}
	jwrite_array_end(&w);
	jwrite_object_end(&w);
}

void
scripts_answer_reloads(struct console *console, const struct err *why)
{
	struct buf text = BUF_INIT;
	struct reload *waiting;

	if (console->reloads != NULL && why == NULL)
		write_outcome(console, &text);
	while ((waiting = console->reloads) != NULL) {
		console->reloads = waiting->next;
		if (why != NULL)
			console_reply_err(waiting->req, why);
		else
			console_reply_json(console, waiting->req,
			    (struct str){text.data, text.len});
		free(waiting);
	}
	buf_free(&text);
}

void
console_reloaded(struct console *console)
{
	scripts_answer_reloads(console, NULL);
}

void
scripts_reload(struct console *console, struct httpd_request *req)
{
	static const char *const none[] = {NULL};
	const struct console_options *o = &console->options;
	struct err err = ERR_INIT;
	struct jdoc doc = {0};
	struct reload *waiting;

	if (console_read_body(req, none, &doc) == NULL) {
		jdoc_free(&doc);
		return;
	}
	jdoc_free(&doc);
	if (o->reload(o->cookie, &err) == -1) {
		console_reply_err(req, &err);
		return;
	}
	log_info("reload asked for");
	waiting = mem_zalloc(sizeof(*waiting));
	waiting->req = req;
	waiting->next = console->reloads;
	console->reloads = waiting;
}

/* ---- pause, resume, discard ------------------------------------------------
 */

struct discarding {
	struct store_discard op;
	struct httpd_request *req;
	char *integration;
	char *name;
};

static void
discarded(struct store_op *op)
{
	struct discarding *d = op->cookie;
	struct buf text = BUF_INIT;
	struct jwrite w = jwrite_begin(&text, 0);

	if (op->rc == -1) {
		console_reply_err(d->req, &op->err);
	} else {
		log_info("waiting jobs discarded", LOG_STR("script", d->name),
		    LOG_STR("integration", d->integration),
		    LOG_INT("jobs", d->op.ret_count));
		jwrite_object(&w);
		jwrite_member_text(&w, "script", d->name);
		jwrite_member_text(&w, "integration", d->integration);
		jwrite_member_int(&w, "count", (int64_t)d->op.ret_count);
		jwrite_object_end(&w);
		httpd_reply_json(
		    d->req, 200, (struct str){text.data, text.len});
	}
	buf_free(&text);
	free(d->integration);
	free(d->name);
	free(d);
}

static void
discard(struct console *console, struct httpd_request *req,
    const char *integration, const char *name)
{
	struct discarding *d = mem_zalloc(sizeof(*d));

	d->req = req;
	d->integration = mem_strdup(integration);
	d->name = mem_strdup(name);
	d->op.op.kind = STORE_OP_DISCARD;
	d->op.op.done = discarded;
	d->op.op.cookie = d;
	d->op.integration = d->integration;
	d->op.script = d->name;
	if (console_submit(console, req, &d->op.op) == -1) {
		free(d->integration);
		free(d->name);
		free(d);
	}
}

/* The integration of a script that is named alone; NULL and ${err} if it is in
 * none, or in several. */
static const char *
find_integration(struct console *console, const char *name, struct err *err)
{
	const struct console_options *o = &console->options;
	const char *found = NULL;
	struct console_script script;
	size_t i;

	for (i = 0; o->script(o->cookie, i, &script) == 0; i++) {
		if (strcmp(script.name, name) != 0)
			continue;
		if (found != NULL) {
			(void)err_set(err, ERR_INVALID,
			    "several integrations have a script %.60s: say "
			    "which one by its integration",
			    name);
			return NULL;
		}
		found = script.integration;
	}
	if (found == NULL)
		(void)err_set(
		    err, ERR_NOT_FOUND, "there is no script %.60s", name);
	return found;
}

void
scripts_post(struct console *console, struct httpd_request *req,
    struct str name_str, enum scripts_verb verb)
{
	static const char *const members[] = {"integration", NULL};
	const struct console_options *o = &console->options;
	const char *name;
	char *integration = NULL;
	struct buf decoded = BUF_INIT, text = BUF_INIT;
	struct jwrite w = jwrite_begin(&text, 0);
	struct err err = ERR_INIT;
	struct jdoc doc = {0};
	const struct jval *body;

	body = console_read_body(req, members, &doc);
	if (body == NULL)
		goto out;
	if (form_decode(name_str, 0, &decoded) == -1) {
		(void)err_set(&err, ERR_NOT_FOUND, "there is no such script");
		goto bad;
	}
	name = buf_text(&decoded);
	if (console_body_text(body, "integration", &integration, &err) == -1)
		goto bad;
	if (integration == NULL)
		integration = mem_strdup(find_integration(console, name, &err));
	if (integration == NULL)
		goto bad;
	if (verb == SCRIPTS_DISCARD) {
		discard(console, req, integration, name);
		goto out;
	}
	if (o->pause(o->cookie, integration, name, verb == SCRIPTS_PAUSE,
		&err) == -1)
		goto bad;
	log_info(verb == SCRIPTS_PAUSE ? "script paused" : "script resumed",
	    LOG_STR("script", name), LOG_STR("integration", integration));
	jwrite_object(&w);
	jwrite_member_text(&w, "script", name);
	jwrite_member_text(&w, "integration", integration);
	jwrite_key(&w, "paused");
	jwrite_bool(&w, verb == SCRIPTS_PAUSE);
	jwrite_object_end(&w);
	httpd_reply_json(req, 200, (struct str){text.data, text.len});
	goto out;
bad:
	console_reply_err(req, &err);
out:
	jdoc_free(&doc);
	buf_free(&text);
	buf_free(&decoded);
	free(integration);
}
