#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "base/mem.h"

#include "catalog/catalog.h"
#include "catalog/routes.h"
#include "net/loop.h"
#include "store/store.h"
#include "json/jdoc.h"

#include "app/requarantine.h"

/* Deliveries on a page; the loop has a rest between two that were looked at. */
#define PAGE 16
#define REST_MS 2

/* When the store refused something. */
#define AGAIN_MS 1000

#define NOTE_MAX 256

struct requarantine {
	struct requarantine_options options;
	char *note_path;
	char *note; /* Which documents are asked. */
	struct loop_timer *timer;
	int stopped;
	int asking; /* The store has one of the two below. */
	uint64_t after_id;
	struct store_invalid_page page;
	size_t at; /* On it. */
	struct store_replay replay;
	struct store_new_job *jobs;
	struct buf order_key;
	struct routes *routes; /* A reference: the jobs' names. */
	struct jdoc doc;
	uint64_t nchecked;
	uint64_t nreplayed;
	uint64_t nunhandled;
};

static int
was_noted(const struct requarantine *q)
{
	struct buf text = BUF_INIT;
	int same;

	same = file_read(q->note_path, NOTE_MAX, &text, NULL) == 0 &&
	       strcmp(buf_text(&text), q->note) == 0;
	buf_free(&text);
	return same;
}

/* All of it was looked at. */
static void
end_pass(struct requarantine *q)
{
	struct err err = ERR_INIT;

	if (file_replace(q->note_path, q->note, strlen(q->note), 0600, &err) ==
	    -1)
		log_warn("cannot note that the quarantine was looked at",
		    LOG_STR("error", err.msg));
	if (q->nchecked > 0)
		log_info("quarantine checked again",
		    LOG_INT("checked", q->nchecked),
		    LOG_INT("replayed", q->nreplayed),
		    LOG_INT("unhandled", q->nunhandled),
		    LOG_INT("still_invalid",
			q->nchecked - q->nreplayed - q->nunhandled));
}

static void
submit(struct requarantine *q, struct store_op *op, enum store_kind kind,
    store_done_cb *done)
{
	struct err err = ERR_INIT;

	op->kind = kind;
	op->reply_to = loop_mailbox(q->options.loop);
	op->done = done;
	op->cookie = q;
	if (store_submit(q->options.store, op, &err) == 0)
		q->asking = 1;
	else
		loop_timer_set(q->timer, AGAIN_MS);
}

/* Whether a delivery is what a document says, now. */
static int
is_valid(struct requarantine *q, const struct store_invalid *d)
{
	const struct catalog_resource *resource =
	    catalog_find(q->options.catalog, str_of(d->resource));
	struct catalog_violation violation;

	/* No document knows it any more: that is no reason to let it out. */
	if (resource == NULL ||
	    jdoc_parse(&q->doc, d->body.data, d->body.len, NULL, NULL) == -1)
		return 0;
	return catalog_check(
		   q->options.catalog, resource, &q->doc, &violation) == 0;
}

static void
find_jobs(struct requarantine *q, const struct store_invalid *d)
{
	struct routes *now = q->options.routes(q->options.cookie);
	const struct route *routes;
	size_t n = 0, i;

	(void)memset(&q->replay, 0, sizeof(q->replay));
	q->replay.id = d->id;
	q->replay.state = store_state_name(STORE_INVALID);
	if (now == NULL)
		return;
	routes_unref(q->routes);
	q->routes = routes_ref(now);
	buf_reset(&q->order_key);
	routes_order_key(jdoc_root(&q->doc), &q->order_key);
	routes = routes_find(now, d->integration,
	    catalog_find(q->options.catalog, str_of(d->resource)), &n);
	free(q->jobs);
	q->jobs = mem_array(n + 1, sizeof(*q->jobs));
	for (i = 0; i < n; i++)
		q->jobs[i] =
		    (struct store_new_job){routes[i].script, routes[i].handler,
			{buf_text(&q->order_key), q->order_key.len}};
	q->replay.jobs = q->jobs;
	q->replay.njobs = n;
}

static void
on_replayed(struct store_op *op)
{
	struct requarantine *q = op->cookie;

	q->asking = 0;
	if (op->rc == -1 && op->err.code != ERR_NOT_FOUND) {
		log_warn("cannot replay a delivery that is valid now",
		    LOG_STR("error", op->err.msg));
		loop_timer_set(q->timer, AGAIN_MS);
		return;
	}
	if (op->rc == 0 && q->replay.ret_count > 0)
		q->nreplayed++;
	else if (op->rc == 0 && q->replay.njobs == 0)
		q->nunhandled++;
	free(q->replay.ret_json);
	q->nchecked++;
	q->at++;
	if (!q->stopped)
		loop_timer_set(q->timer, REST_MS);
}

static void
on_page(struct store_op *op)
{
	struct requarantine *q = op->cookie;

	q->asking = 0;
	q->at = 0;
	if (!q->stopped)
		loop_timer_set(q->timer, op->rc == -1 ? AGAIN_MS : 0);
}

/* The next delivery, or the next page, or the end. */
static void
step(void *cookie)
{
	struct requarantine *q = cookie;
	const struct store_invalid *d;
	uint64_t next = q->page.ret_next;

	if (q->stopped || q->asking)
		return;
	if (q->at < q->page.ret_n) {
		d = &q->page.ret_deliveries[q->at];
		if (is_valid(q, d)) {
			find_jobs(q, d);
			submit(q, &q->replay.op, STORE_OP_REPLAY, on_replayed);
			return;
		}
		q->nchecked++;
		q->at++;
		loop_timer_set(q->timer, REST_MS);
		return;
	}
	if (q->page.op.rc == 0 && q->page.max != 0 && next == 0) {
		store_invalid_clear(&q->page);
		end_pass(q);
		return;
	}
	if (next != 0)
		q->after_id = next;
	store_invalid_clear(&q->page);
	(void)memset(&q->page, 0, sizeof(q->page));
	q->page.after_id = q->after_id;
	q->page.max = PAGE;
	submit(q, &q->page.op, STORE_OP_INVALID, on_page);
}

struct requarantine *
requarantine_start(const struct requarantine_options *options)
{
	struct requarantine *q = mem_zalloc(sizeof(*q));

	q->options = *options;
	q->note_path = mem_printf("%s/documents", options->data_dir);
	q->note = mem_printf("%s %016" PRIx64 "\n", MOONPOST_VERSION,
	    catalog_fingerprint(options->catalog));
	q->timer = loop_timer_create(options->loop, step, q);
	if (!was_noted(q))
		loop_timer_set(q->timer, 0);
	return q;
}

void
requarantine_stop(struct requarantine *q)
{
	if (q == NULL)
		return;
	q->stopped = 1;
	loop_timer_cancel(q->timer);
}

void
requarantine_free(struct requarantine *q)
{
	if (q == NULL)
		return;
	store_invalid_clear(&q->page);
	loop_timer_free(q->timer);
	jdoc_free(&q->doc);
	buf_free(&q->order_key);
	routes_unref(q->routes);
	free(q->jobs);
	free(q->note_path);
	free(q->note);
	free(q);
}
