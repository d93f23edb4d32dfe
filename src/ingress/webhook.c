#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "catalog/catalog.h"
#include "catalog/routes.h"
#include "crypto/signature.h"
#include "net/httpd.h"
#include "net/loop.h"
#include "store/store.h"
#include "json/jwrite.h"

#include "ingress/ingress_internal.h"

/* Lines about what was refused: so many a second, and at once. */
#define LOG_PER_SECOND 20.0
#define LOG_BURST 100.0

/* A closer look at a signature: so many a second, and at once. */
#define DIAGNOSES_PER_SECOND 1.0
#define DIAGNOSES_BURST 5.0

/* The headers that matter here; NULL where they were not sent. */
struct hook {
	const char *content_type;
	const char *signatures[2]; /* Sentry-Hook-, Sentry-App-Signature. */
	const char *resource;
	const char *timestamp;
	const char *request_id;
	const char *idempotency_key;
};

/* A delivery on its way into the store. */
struct delivery {
	struct store_append append;
	struct ingress_thread *thread;
	struct httpd_request *req;
	struct site_config *config; /* A reference: the integration's name. */
	struct routes *routes;      /* A reference: scripts, handlers. */
	struct delivery *next;      /* While it is spare. */
	struct store_new_job *jobs;
	size_t jobs_cap;
	char signature[SIGNATURE_HEX + 1]; /* The one that matched. */
	struct catalog_violation violation;
	struct buf headers;
	struct buf action;
	struct buf dedupe;
	struct buf order;
	struct buf warnings;
};

/* ---- answers --------------------------------------------------------------
 */

/* Say in the log what was refused, and why; not for ever. */
static void
log_refused(struct ingress_thread *t, struct httpd_request *req, int status,
    const struct site *site, const char *error, const char *reason)
{
	char suppressed[24];

	if (!log_enabled(LOG_INFO))
		return;
	if (!bucket_take(&t->log_bucket, LOG_PER_SECOND, LOG_BURST)) {
		t->suppressed++;
		return;
	}
	(void)snprintf(suppressed, sizeof(suppressed), "%llu",
	    (unsigned long long)t->suppressed);
	log_info("delivery refused", LOG_INT("status", status),
	    LOG_STR("error", error), LOG_STR("reason", reason),
	    LOG_STR("integration", site->name),
	    LOG_STR("peer", httpd_peer(req)),
	    LOG_OPT("lines_suppressed", t->suppressed > 0 ? suppressed : NULL));
	t->suppressed = 0;
}

static void
refuse(struct ingress_thread *t, struct httpd_request *req,
    const struct site *site, int status, const char *error, const char *message)
{
	log_refused(t, req, status, site, error, message);
	ingress_count(t, COUNT_BAD_REQUEST, 1);
	httpd_reply_error(req, status, error, message);
}

static void
answer_503(struct httpd_request *req, const char *error, const char *after)
{
	const struct httpd_header headers[] = {
	    {"Content-Type", "application/json"}, {"Retry-After", after}};
	char body[64];
	int n;

	n = snprintf(body, sizeof(body), "{\"error\":\"%s\"}", error);
	httpd_reply(
	    req, 503, headers, NELEMS(headers), (struct str){body, (size_t)n});
}

static void
answer_missing(struct ingress_thread *t, struct httpd_request *req,
    const struct site *site, const char *header)
{
	char body[128];
	int n;

	log_refused(t, req, 400, site, "missing_header", header);
	ingress_count(t, COUNT_BAD_REQUEST, 1);
	n = snprintf(body, sizeof(body),
	    "{\"error\":\"missing_header\",\"header\":\"%s\"}", header);
	httpd_reply_json(req, 400, (struct str){body, (size_t)n});
}

static void
answer_invalid_json(struct ingress_thread *t, struct httpd_request *req,
    const struct site *site, size_t offset, const char *message)
{
	struct buf body = BUF_INIT;
	struct jwrite w = jwrite_begin(&body, 0);

	log_refused(t, req, 400, site, "invalid_json", message);
	ingress_count(t, COUNT_BAD_REQUEST, 1);
	jwrite_object(&w);
	jwrite_member_text(&w, "error", "invalid_json");
	jwrite_member_int(&w, "offset", (int64_t)offset);
	jwrite_member_text(&w, "message", message);
	jwrite_object_end(&w);
	httpd_reply_json(req, 400, (struct str){body.data, body.len});
	buf_free(&body);
}

static void
answer_violation(struct delivery *d, const char *id)
{
	struct buf body = BUF_INIT;
	struct jwrite w = jwrite_begin(&body, 0);

	jwrite_object(&w);
	jwrite_member_text(&w, "error", "schema_violation");
	jwrite_member_text(&w, "pointer", d->violation.pointer);
	jwrite_member_text(&w, "message", d->violation.message);
	jwrite_member_text(&w, "id", id);
	jwrite_object_end(&w);
	httpd_reply_json(d->req, 422, (struct str){body.data, body.len});
	buf_free(&body);
}

static void
answer_status(struct httpd_request *req, const char *status, const char *id)
{
	char body[96];
	int n;

	n = snprintf(body, sizeof(body), "{\"status\":\"%s\",\"id\":\"%s\"}",
	    status, id);
	httpd_reply_json(req, 200, (struct str){body, (size_t)n});
}

/* ---- a delivery's memory --------------------------------------------------
 */

static struct delivery *
delivery_new(struct ingress_thread *t, struct httpd_request *req)
{
	struct delivery *d = t->spare;

	if (d != NULL)
		t->spare = d->next;
	else
		d = mem_zalloc(sizeof(*d));
	(void)memset(&d->append, 0, sizeof(d->append));
	d->thread = t;
	d->req = req;
	d->config = site_config_ref(t->config);
	d->routes = t->routes == NULL ? NULL : routes_ref(t->routes);
	buf_reset(&d->headers);
	buf_reset(&d->action);
	buf_reset(&d->dedupe);
	buf_reset(&d->order);
	buf_reset(&d->warnings);
	return d;
}

static void
delivery_release(struct delivery *d)
{
	site_config_unref(d->config);
	routes_unref(d->routes);
	d->config = NULL;
	d->routes = NULL;
	d->next = d->thread->spare;
	d->thread->spare = d;
}

static void
delivery_free(struct delivery *d)
{
	buf_free(&d->headers);
	buf_free(&d->action);
	buf_free(&d->dedupe);
	buf_free(&d->order);
	buf_free(&d->warnings);
	free(d->jobs);
	free(d);
}

void
webhook_free_spare(struct ingress_thread *t)
{
	struct delivery *d;

	while ((d = t->spare) != NULL) {
		t->spare = d->next;
		delivery_free(d);
	}
}

/* ---- checks ---------------------------------------------------------------
 */

/* Keep the first of each that is looked for; the length tells most apart. */
static void
keep(const char **slot, const struct httpd_header *h, const char *name)
{
	if (*slot == NULL && strcasecmp(h->name, name) == 0)
		*slot = h->value;
}

static void
read_headers(const struct httpd_request *req, struct hook *hook)
{
	struct httpd_header h;
	const void *at = NULL;

	(void)memset(hook, 0, sizeof(*hook));
	while ((at = httpd_next_header(req, at, &h)) != NULL) {
		switch (strlen(h.name)) {
		case 10:
			keep(&hook->request_id, &h, "Request-ID");
			break;
		case 12:
			keep(&hook->content_type, &h, "Content-Type");
			break;
		case 15:
			keep(&hook->idempotency_key, &h, "Idempotency-Key");
			break;
		case 20:
			keep(&hook->resource, &h, "Sentry-Hook-Resource");
			keep(&hook->signatures[1], &h, "Sentry-App-Signature");
			break;
		case 21:
			keep(&hook->signatures[0], &h, "Sentry-Hook-Signature");
			keep(&hook->timestamp, &h, "Sentry-Hook-Timestamp");
			break;
		default:
			break;
		}
	}
}

/* application/json or anything+json, whatever its parameters. */
static int
is_json_type(const char *type)
{
	size_t len = strcspn(type, ";");
	struct str t;

	while (len > 0 && (type[len - 1] == ' ' || type[len - 1] == '\t'))
		len--;
	t = (struct str){type, len};
	if (str_eq_nocase(t, STR("application/json")))
		return 1;
	return len > 5 && memchr(type, '/', len) != NULL &&
	       str_eq_nocase((struct str){type + len - 5, 5}, STR("+json"));
}

/* Check either signature.  Return 1 and keep the one that is good; or 0, and it
 * has been answered. */
static int
check_signature(struct ingress_thread *t, struct httpd_request *req,
    const struct site *site, const struct hook *hook, struct str body,
    char ret_signature[SIGNATURE_HEX + 1])
{
	const char *reason = "neither Sentry-Hook-Signature nor "
			     "Sentry-App-Signature was sent";
	struct str hex, mismatch = {NULL, 0};
	size_t i, k;

	for (i = 0; i < NELEMS(hook->signatures); i++) {
		if (hook->signatures[i] == NULL)
			continue;
		hex = str_of(hook->signatures[i]);
		switch (signature_verify(
		    (const struct signature_key *const *)site->keys,
		    site->nkeys, hex, body.data, body.len)) {
		case SIGNATURE_GOOD:
			for (k = 0; k < SIGNATURE_HEX; k++)
				ret_signature[k] = (char)(hex.data[k] | 0x20);
			ret_signature[SIGNATURE_HEX] = '\0';
			return 1;
		case SIGNATURE_BAD_LENGTH:
			reason = "the signature is not 64 characters long";
			break;
		case SIGNATURE_BAD_DIGITS:
			reason = "the signature is not 64 hexadecimal digits";
			break;
		case SIGNATURE_NO_MATCH:
			reason = "no secret matches";
			mismatch = hex;
			break;
		}
	}

	/* The commonest causes cost a look that not everybody gets. */
	if (mismatch.data != NULL && log_enabled(LOG_INFO) &&
	    bucket_take(
		&t->diagnosis_bucket, DIAGNOSES_PER_SECOND, DIAGNOSES_BURST))
		reason = diagnose(site, mismatch, body);
	log_refused(t, req, 401, site, "bad_signature", reason);
	ingress_count(t, COUNT_BAD_SIGNATURE, 1);
	httpd_reply_json(req, 401, STR("{\"error\":\"bad_signature\"}"));
	return 0;
}

static int
is_other_type(struct ingress_thread *t, struct httpd_request *req,
    const struct site *site, const struct hook *hook)
{
	if (hook->content_type == NULL || is_json_type(hook->content_type))
		return 0;
	refuse(t, req, site, 415, "unsupported_media_type",
	    "the Content-Type must be application/json");
	return 1;
}

int
webhook_is_signed(struct ingress_thread *t, struct httpd_request *req,
    const struct site *site, struct str body)
{
	char signature[SIGNATURE_HEX + 1];
	struct hook hook;

	read_headers(req, &hook);
	return check_signature(t, req, site, &hook, body, signature);
}

int
webhook_is_other_type(struct ingress_thread *t, struct httpd_request *req,
    const struct site *site)
{
	struct hook hook;

	read_headers(req, &hook);
	return is_other_type(t, req, site, &hook);
}

/* Whether the time that was sent, if any, is beyond --max-age. */
static int
is_stale(const char *timestamp, uint64_t max_age_ms)
{
	struct str s;
	uint64_t sent_ms, now = clock_unix_ms();

	if (max_age_ms == 0 || timestamp == NULL)
		return 0;
	s = str_of(timestamp);
	if (str_parse_u64(s, UINT64_MAX / 1000, &sent_ms) == 0)
		sent_ms *= 1000;
	else if (clock_parse_rfc3339(s.data, s.len, &sent_ms) == -1)
		return 1;
	return sent_ms < now && now - sent_ms > max_age_ms;
}

/* ---- what is stored -------------------------------------------------------
 */

static int
is_signature(const char *name)
{
	return strcasecmp(name, "Sentry-Hook-Signature") == 0 ||
	       strcasecmp(name, "Sentry-App-Signature") == 0;
}

/* Whether a header of that name stands before ${end}. */
static int
was_before(const struct httpd_request *req, const void *end, const char *name)
{
	struct httpd_header h;
	const void *at = NULL;

	while ((at = httpd_next_header(req, at, &h)) != end) {
		if ((h.name[0] | 0x20) == (name[0] | 0x20) &&
		    strcasecmp(h.name, name) == 0)
			return 1;
	}
	return 0;
}

/* The headers as an object, those of one name joined as RFC 9110 has it. */
static void
put_headers(struct buf *out, const struct httpd_request *req)
{
	struct jwrite w = jwrite_begin(out, 0);
	struct buf joined = BUF_INIT;
	struct httpd_header h, other;
	const void *at = NULL, *more;

	jwrite_object(&w);
	while ((at = httpd_next_header(req, at, &h)) != NULL) {
		if (is_signature(h.name) || was_before(req, at, h.name))
			continue;
		jwrite_key(&w, h.name);
		buf_reset(&joined);
		for (more = at;
		     (more = httpd_next_header(req, more, &other)) != NULL;) {
			if ((h.name[0] | 0x20) != (other.name[0] | 0x20) ||
			    strcasecmp(h.name, other.name) != 0)
				continue;
			if (joined.len == 0)
				buf_puts(&joined, h.value);
			buf_printf(&joined, ", %s", other.value);
		}
		jwrite_text(&w, joined.len > 0 ? joined.data : h.value);
	}
	jwrite_object_end(&w);
	buf_free(&joined);
}

static void
put_dedupe_key(struct buf *out, const struct site *site,
    enum ingress_dedupe mode, const struct hook *hook, const char *signature)
{
	if (mode == INGRESS_DEDUPE_OFF)
		return;
	if (mode == INGRESS_DEDUPE_KEY &&
	    (hook->idempotency_key == NULL || hook->idempotency_key[0] == '\0'))
		return;
	buf_puts(out, site->name);
	if (mode == INGRESS_DEDUPE_KEY) {
		buf_putc(out, '\n');
		buf_puts(out, hook->idempotency_key);
	}
	buf_putc(out, '\n');
	buf_puts(out, signature);
}

static void
put_warning(struct buf *out, const struct catalog_violation *v)
{
	struct jwrite w = jwrite_begin(out, 0);

	jwrite_array(&w);
	jwrite_object(&w);
	jwrite_member_text(&w, "pointer", v->pointer);
	jwrite_member_text(&w, "message", v->message);
	jwrite_object_end(&w);
	jwrite_array_end(&w);
}

static struct str
str_of_buf(const struct buf *b)
{
	return (struct str){buf_text(b), b->len};
}

/* ---- the way in -----------------------------------------------------------
 */

/* Nothing runs on a delivery: name what would have. */
static void
log_unhandled(
    struct ingress_thread *t, const struct store_append *a, const char *id)
{
	const struct catalog_resource *resource =
	    catalog_find(t->ingress->catalog, str_of(a->resource));
	struct buf wanted = BUF_INIT;
	const char *const *names;
	size_t i, n;

	if (!log_enabled(LOG_INFO) ||
	    !bucket_take(&t->log_bucket, LOG_PER_SECOND, LOG_BURST))
		return;
	if (resource == NULL) {
		names = catalog_fallback_handlers(&n);
	} else {
		names = resource->handlers;
		n = resource->nhandlers;
	}
	for (i = 0; i < n; i++)
		buf_printf(&wanted, "%s%s", i == 0 ? "" : ", ", names[i]);
	log_info("delivery unhandled", LOG_STR("delivery", id),
	    LOG_STR("integration", a->integration),
	    LOG_STR("resource", a->resource), LOG_OPT("action", a->action),
	    LOG_STR("looked_for", buf_text(&wanted)));
	buf_free(&wanted);
}

/* Whoever looks on gets to know. */
static void
tell_stored(const struct ingress_thread *t, const struct store_append *append)
{
	const struct ingress *in = t->ingress;

	if (in->stored != NULL)
		in->stored(in->stored_cookie, append);
}

/* The store has it, or not: the answer. */
static void
stored_cb(struct store_op *op)
{
	struct delivery *d = op->cookie;
	struct ingress_thread *t = d->thread;
	const struct store_append *a = &d->append;
	char id[24];

	t->waiting--;
	(void)snprintf(id, sizeof(id), "%llu", (unsigned long long)a->ret_id);
	if (op->rc == -1) {
		ingress_count(t, COUNT_STORE_UNAVAILABLE, 1);
		if (bucket_take(&t->log_bucket, LOG_PER_SECOND, LOG_BURST))
			log_error("delivery not stored",
			    LOG_STR("error", op->err.msg),
			    LOG_STR("integration", a->integration),
			    LOG_STR("resource", a->resource));
		answer_503(d->req, "store_unavailable", "10");
	} else if (a->state == STORE_INVALID) {
		ingress_count(t, COUNT_INVALID, 1);
		log_info("delivery quarantined", LOG_STR("delivery", id),
		    LOG_STR("integration", a->integration),
		    LOG_STR("resource", a->resource),
		    LOG_STR("pointer", d->violation.pointer),
		    LOG_STR("error", d->violation.message));
		tell_stored(t, a);
		answer_violation(d, id);
	} else {
		ingress_count(
		    t, a->ret_duplicate ? COUNT_DUPLICATE : COUNT_ACCEPTED, 1);
		if (!a->ret_duplicate)
			ingress_count(t, COUNT_BODY_BYTES, a->body.len);
		if (log_enabled(LOG_DEBUG))
			log_debug(a->ret_duplicate ? "delivery repeated"
						   : "delivery accepted",
			    LOG_STR("delivery", id),
			    LOG_STR("integration", a->integration),
			    LOG_STR("resource", a->resource),
			    LOG_OPT("action", a->action),
			    LOG_INT("bytes", a->body.len));
		if (a->state == STORE_UNHANDLED && !a->ret_duplicate)
			log_unhandled(t, a, id);
		if (!a->ret_duplicate)
			tell_stored(t, a);
		answer_status(
		    d->req, a->ret_duplicate ? "duplicate" : "accepted", id);
	}
	delivery_release(d);
}

static void
fill_jobs(struct delivery *d, const struct route *routes, size_t n)
{
	size_t i;

	if (n > d->jobs_cap)
		d->jobs = mem_grow(
		    d->jobs, &d->jobs_cap, n, sizeof(struct store_new_job));
	for (i = 0; i < n; i++)
		d->jobs[i] = (struct store_new_job){
		    routes[i].script, routes[i].handler, str_of_buf(&d->order)};
	d->append.jobs = d->jobs;
	d->append.njobs = n;
}

/* Give it to the store: the answer follows. */
static void
submit(struct delivery *d)
{
	struct ingress_thread *t = d->thread;
	struct store_append *a = &d->append;

	a->op.kind = STORE_OP_APPEND;
	a->op.reply_to = loop_mailbox(t->loop);
	a->op.done = stored_cb;
	a->op.cookie = d;
	a->headers_json = str_of_buf(&d->headers);
	a->dedupe_key = str_of_buf(&d->dedupe);
	a->warnings_json = str_of_buf(&d->warnings);
	a->action = d->action.len > 0 ? d->action.data : NULL;
	a->body = httpd_body(d->req);
	a->received_unix_ms = clock_unix_ms();
	if (t->waiting < t->ingress->max_waiting &&
	    store_collect(t->ingress->store, &t->batch, &a->op, NULL) == 0) {
		t->waiting++;
		if (t->batch.first == &a->op.mail)
			loop_timer_now(t->submit);
		return;
	}
	ingress_count(t, COUNT_OVERLOADED, 1);
	answer_503(d->req, "overloaded", "1");
	delivery_release(d);
}

/* The body is genuine JSON: what is to be done with it? */
static void
accept_body(struct ingress_thread *t, struct httpd_request *req,
    const struct site *site, const struct hook *hook, const char *signature)
{
	struct delivery *d = delivery_new(t, req);
	const struct jval *root = jdoc_root(&t->doc);
	const struct catalog_resource *resource;
	const struct route *routes = NULL;
	struct store_append *a = &d->append;
	struct str action;
	size_t n = 0;

	resource = catalog_find(t->ingress->catalog, str_of(hook->resource));
	a->integration = site->name;
	a->channel = resource == NULL ? NULL : resource->channel;
	a->resource = resource == NULL ? hook->resource : resource->name;
	a->request_id = hook->request_id;
	a->idempotency_key = hook->idempotency_key;
	(void)memcpy(d->signature, signature, sizeof(d->signature));
	a->signature = (struct str){d->signature, SIGNATURE_HEX};
	a->state = STORE_PENDING;
	if (is_stale(hook->timestamp, t->config->max_age_ms)) {
		/* Nothing is wrong at a place of the body: no schema that comes
		 * later makes it good.  Kept, since Sentry does not resend. */
		a->state = STORE_INVALID;
		d->violation.pointer[0] = '\0';
		(void)snprintf(d->violation.message,
		    sizeof(d->violation.message),
		    "Sentry-Hook-Timestamp is older than --max-age allows, or "
		    "no time");
		a->violation_message = d->violation.message;
	} else if (resource != NULL &&
		   t->config->validation != INGRESS_VALIDATION_OFF &&
		   catalog_check(t->ingress->catalog, resource, &t->doc,
		       &d->violation) == -1) {
		if (t->config->validation == INGRESS_VALIDATION_STRICT) {
			a->state = STORE_INVALID;
			a->violation_pointer = d->violation.pointer;
			a->violation_message = d->violation.message;
		} else {
			put_warning(&d->warnings, &d->violation);
		}
	}
	if (a->state == STORE_PENDING) {
		if (d->routes != NULL)
			routes =
			    routes_find(d->routes, site->name, resource, &n);
		/* The host itself has something to do for an installation. */
		if (n == 0 && !t->config->keep_unhandled &&
		    strcmp(a->resource, "installation") != 0) {
			ingress_count(t, COUNT_IGNORED, 1);
			httpd_reply_json(
			    req, 200, STR("{\"status\":\"ignored\"}"));
			delivery_release(d);
			return;
		}
		if (n == 0)
			a->state = STORE_UNHANDLED;
	}

	/* Everything that outlives the document. */
	action = jdoc_get_str(root, "action");
	if (action.len > 0 && memchr(action.data, '\0', action.len) == NULL)
		buf_put(&d->action, action.data, action.len);
	routes_order_key(root, &d->order);
	put_headers(&d->headers, req);
	put_dedupe_key(&d->dedupe, site, t->config->dedupe, hook, d->signature);
	fill_jobs(d, routes, n);
	submit(d);
}

void
webhook_handle(struct ingress_thread *t, struct httpd_request *req,
    const struct site *site)
{
	char signature[SIGNATURE_HEX + 1];
	struct err err = ERR_INIT;
	struct hook hook;
	struct str body;
	size_t offset;

	read_headers(req, &hook);
	if (is_other_type(t, req, site, &hook) ||
	    !check_signature(t, req, site, &hook, httpd_body(req), signature))
		return;

	/* From here on it comes from somebody who knows the secret. */
	if (hook.resource == NULL || hook.resource[0] == '\0') {
		answer_missing(t, req, site, "Sentry-Hook-Resource");
		return;
	}
	body = httpd_body(req);
	if (jdoc_parse(&t->doc, body.data, body.len, &offset, &err) == -1) {
		answer_invalid_json(t, req, site, offset, err.msg);
		return;
	}
	accept_body(t, req, site, &hook, signature);
}
