#ifndef INGRESS_INGRESS_INTERNAL_H_
#define INGRESS_INGRESS_INTERNAL_H_

/*
 * What the files of the ingress share.
 *
 * Floor: 5 (ingress).  May include base/, json/, crypto/, catalog/, net/,
 * store/.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bucket.h"
#include "base/str.h"
#include "net/listen.h"
#include "store/store.h"
#include "json/jdoc.h"

#include "ingress/ingress.h"

struct delivery;
struct httpd;
struct httpd_request;
struct loop;
struct loop_timer;
struct signature_key;

/* An integration as its threads see it. */
struct site {
	char *name;
	struct signature_key **keys; /* The newest first. */
	size_t nkeys;
};

/* All of them; immutable, shared by reference count. */
struct site_set {
	atomic_uint refs;
	struct site *sites;
	size_t n;
};

/* What can be changed while it runs, as an immutable snapshot, shared by the
 * threads by reference count. */
struct site_config {
	atomic_uint refs;
	struct site_set *set;
	enum ingress_validation validation;
	enum ingress_dedupe dedupe;
	int keep_unhandled;
	uint64_t max_age_ms;
};

/* Counted by one thread, read by any. */
enum ingress_count {
	COUNT_ACCEPTED,
	COUNT_DUPLICATE,
	COUNT_IGNORED,
	COUNT_INVALID,
	COUNT_BAD_SIGNATURE,
	COUNT_BAD_REQUEST,
	COUNT_OVERLOADED,
	COUNT_STORE_UNAVAILABLE,
	COUNT_CONNECTIONS,
	COUNT_GATE,
	COUNT_BODY_BYTES,
	COUNT_COUNT
};

/* Who asked for links lately, and how often. */
#define UI_ASKERS 512

struct ui_asker {
	uint64_t hash; /* Of the address. */
	struct bucket bucket;
};

struct ingress_thread {
	struct ingress *ingress;
	struct loop *loop;
	struct httpd *httpd;

	/* The thread's own. */
	struct site_config *config;
	struct routes *routes;
	struct jdoc doc;           /* Of the body being checked. */
	struct delivery *spare;    /* Used before, with their memory. */
	size_t waiting;            /* Deliveries that the store has. */
	struct store_batch batch;  /* Those of this round of the loop. */
	struct loop_timer *submit; /* Hands them in. */
	struct bucket log_bucket;
	struct bucket diagnosis_bucket;
	struct ingress_pending *pending; /* UI requests that scripts have. */
	size_t npending;
	struct ui_asker askers[UI_ASKERS];
	uint64_t suppressed; /* Log lines that were not written. */
	int draining;

	/* News from other threads, taken when the loop is told so. */
	pthread_mutex_t lock;
	struct site_config *next_config;
	struct routes *next_routes;
	int next_draining;

	atomic_uint_fast64_t counts[COUNT_COUNT];
	atomic_size_t busy; /* Requests on their way, when last asked. */
	atomic_uint asked;
};

struct ingress {
	const struct catalog *catalog;
	struct store *store;
	struct tls_server *tls;     /* NULL: plain HTTP. */
	struct site_config *config; /* The newest. */
	size_t max_waiting;         /* Of each thread. */
	char address[LISTEN_ADDRESS_SIZE];
	ingress_stored_cb *stored; /* May be NULL. */
	void *stored_cookie;
	ingress_ui_cb *ui; /* May be NULL. */
	void *ui_cookie;
	ingress_ui_cb *page; /* The same. */
	void *page_cookie;
	struct ingress_thread *threads;
	size_t nthreads;
	size_t nstarted;
};

static inline void
ingress_count(struct ingress_thread *t, enum ingress_count which, uint64_t n)
{
	(void)atomic_fetch_add_explicit(
	    &t->counts[which], n, memory_order_relaxed);
}

/* A snapshot of ${options}, with the integrations of ${old} if they have none
 * (${old} may be NULL). */
struct site_config *site_config_create(
    const struct ingress_options *options, const struct site_config *old);
struct site_config *site_config_ref(struct site_config *config);
void site_config_unref(struct site_config *config);

/* ---- configuration (site.c) ------------------------------------------------
 */

/* The integration ${name}, or NULL. */
const struct site *site_find(const struct site_config *config, struct str name);

/* ---- routes ---------------------------------------------------------------
 */

enum endpoint {
	ENDPOINT_NONE,
	ENDPOINT_WEBHOOK,
	ENDPOINT_HEALTHZ,
	ENDPOINT_READYZ,
	ENDPOINT_UI_POST, /* Components: the form is sent. */
	ENDPOINT_UI_GET,  /* They ask for options, or a link. */
	ENDPOINT_PAGE,    /* A browser comes from Sentry. */
};

/* What is at ${path}; whose, and behind "/ui/", or the page, if that is it. */
enum endpoint endpoint_find(const struct site_config *config, struct str path,
    const struct site **ret_site, struct str *ret_route);

/* ---- deliveries -----------------------------------------------------------
 */

/* Answer a POST to a webhook, now or when the store has it. */
void webhook_handle(struct ingress_thread *t, struct httpd_request *req,
    const struct site *site);

/* Free those that are kept for another time. */
void webhook_free_spare(struct ingress_thread *t);

/**
 * webhook_is_signed(t, req, site, body):
 * Whether either signature header fits ${body}; if not, the request has been
 * answered 401.
 */
int webhook_is_signed(struct ingress_thread *t, struct httpd_request *req,
    const struct site *site, struct str body);

/* Whether a Content-Type was sent and is not JSON: then it has been answered
 * 415. */
int webhook_is_other_type(struct ingress_thread *t, struct httpd_request *req,
    const struct site *site);

/* ---- UI components --------------------------------------------------------
 */

/* Which of them ${route} is: ENDPOINT_UI_POST, ENDPOINT_UI_GET, or
 * ENDPOINT_NONE. */
enum endpoint ui_find(struct str route);

/* Answer a browser that was sent here, now or later. */
void page_handle(struct ingress_thread *t, struct httpd_request *req,
    const struct site *site, struct str route);

/* Answer a request to a component, when a script has. */
void ui_handle(struct ingress_thread *t, struct httpd_request *req,
    const struct site *site, struct str route);

/* Take what has come back, and answer the rest into nothing. */
void ui_free_pending(struct ingress_thread *t);

/* ---- why a signature does not match ---------------------------------------
 */

/**
 * diagnose(site, hex, body):
 * Find out whether the body was changed on its way in one of the usual manners.
 * This costs a parse of what nobody has signed and some hashes: not for every
 * request.
 *
 * Returns:   a reason for the log.
 */
const char *diagnose(const struct site *site, struct str hex, struct str body);

#endif /* !INGRESS_INGRESS_INTERNAL_H_ */
