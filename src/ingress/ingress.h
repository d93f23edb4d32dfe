#ifndef INGRESS_INGRESS_H_
#define INGRESS_INGRESS_H_

/*
 * The public listener: takes deliveries in, proves them genuine, checks their
 * shape, has them stored, and answers.  It runs on threads of its own; what
 * happens to a delivery afterwards is none of its business.
 *
 * Floor: 5 (ingress).  May include base/, json/, crypto/, catalog/, net/,
 * store/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/mailbox.h"

struct catalog;
struct err;
struct ingress;
struct ingress_pending;
struct routes;
struct store;
struct store_append;

/* A delivery is in the store, and is no duplicate.  Called on a thread of the
 * ingress, while its sender waits; ${append} is borrowed. */
typedef void ingress_stored_cb(void *cookie, const struct store_append *append);

/*
 * A request to a UI component: it goes to whoever can have a script answer it,
 * and comes back by ingress_ui_return().
 */
struct ingress_ui {
	struct mail mail; /* The carrier's, until it comes back. */
	void *carrier;    /* The same. */
	const char *integration;
	const char *route;  /* "alert-rule-action", "options/NAME", ... */
	struct buf request; /* JSON: the body, or the query as an object. */

	/* To be filled in. */
	int status;
	int is_page;     /* The body is HTML, for a person. */
	struct buf body; /* JSON, if it is no page. */
	char *location;  /* For free(); NULL: none. */

	/* Ours. */
	struct mailbox *reply_to;
	struct ingress_pending *pending;
};

/* Called on a thread of the ingress.  Ownership: consumes ${ui}. */
typedef void ingress_ui_cb(void *cookie, struct ingress_ui *ui);

enum ingress_validation {
	INGRESS_VALIDATION_STRICT,
	INGRESS_VALIDATION_WARN,
	INGRESS_VALIDATION_OFF,
};

enum ingress_dedupe {
	INGRESS_DEDUPE_KEY,
	INGRESS_DEDUPE_SIGNATURE,
	INGRESS_DEDUPE_OFF,
};

/* One integration: "default" is served at /webhook, NAME at /i/NAME/webhook. */
struct ingress_integration {
	const char *name;
	const char *const *secrets; /* Client secrets, the newest first. */
	size_t nsecrets;
};

/* What became of the requests so far. */
struct ingress_stats {
	uint64_t accepted; /* Answered 200 and durable. */
	uint64_t duplicate;
	uint64_t ignored;
	uint64_t invalid;           /* 422, in quarantine. */
	uint64_t bad_signature;     /* 401 */
	uint64_t bad_request;       /* Every other 4xx of a webhook. */
	uint64_t overloaded;        /* 503, nothing was tried. */
	uint64_t store_unavailable; /* 503, the store refused. */
	uint64_t connections;       /* Open now. */
	uint64_t gate;              /* Refused by the HTTP server itself. */
	uint64_t body_bytes;        /* Of what was accepted. */
};

struct ingress_options {
	const struct catalog *catalog;
	struct store *store;
	const struct ingress_integration *integrations;
	size_t nintegrations;
	struct routes *routes; /* To begin with; a reference is taken. */

	const char *host; /* Name or address, without brackets. */
	uint16_t port;    /* 0: any that is free. */
	unsigned int threads;
	const char *tls_cert; /* Files; NULL: plain HTTP. */
	const char *tls_key;

	size_t max_body;
	size_t max_headers;
	size_t max_connections;
	uint64_t request_timeout_ms;

	/* These can be changed while it runs. */
	enum ingress_validation validation;
	enum ingress_dedupe dedupe;
	int keep_unhandled;
	uint64_t max_age_ms; /* 0: no limit. */

	size_t max_waiting; /* Deliveries that wait for the store, more are
			     * answered 503; 0 = 4096. */

	ingress_stored_cb *stored; /* May be NULL. */
	void *stored_cookie;

	ingress_ui_cb *ui; /* NULL: there are no components. */
	void *ui_cookie;
	ingress_ui_cb *page; /* The same for the routes of browsers, whose query
			      * is the request: "setup",
			      * "oauth/callback". */
	void *page_cookie;
};

/**
 * ingress_start(options, ret_ingress, err):
 * Listen, and serve on threads of its own.
 *
 * Errors:    ERR_UNAVAILABLE  the address is in use or not ours; the message
 *                             names it;
 *            ERR_NOT_FOUND    the certificate or its key is not there;
 *            ERR_INVALID      or they cannot be used.
 * Ownership: keeps the catalogue and the store, copies the rest; the caller
 *            frees with ingress_free().
 * Thread:    any.
 */
int ingress_start(const struct ingress_options *options,
    struct ingress **ret_ingress, struct err *err) ATTR_MUSTCHECK;

/* The port that it listens on. */
uint16_t ingress_port(const struct ingress *ingress);

/* The same with its address, as "127.0.0.1:8080". */
const char *ingress_address(const struct ingress *ingress);

/* The numbers of all threads together.  Thread: any. */
struct ingress_stats ingress_stats(struct ingress *ingress);

/**
 * ingress_set_routes(ingress, routes):
 * Deliveries that come in from now on go by ${routes}.
 *
 * Ownership: takes references; the caller keeps its own.
 * Thread:    any.
 */
void ingress_set_routes(struct ingress *ingress, struct routes *routes);

/**
 * ingress_change(ingress, options):
 * Take over those options that can be changed while it runs, and the secrets
 * of the integrations if there are any in ${options}.
 *
 * Ownership: borrows ${options}.
 * Thread:    any.
 */
void ingress_change(
    struct ingress *ingress, const struct ingress_options *options);

/**
 * ingress_drain(ingress, deadline_ms):
 * /readyz is 503 from now on, nothing new is accepted, and what is on its way
 * is answered; return when it is, or after ${deadline_ms}.  May be called
 * again, to ask without waiting (0).
 *
 * Returns:   how many requests are still on their way.
 * Thread:    any but its own; blocks.  The store must go on working.
 */
size_t ingress_drain(struct ingress *ingress, uint64_t deadline_ms);

/**
 * ingress_ui_return(ui):
 * Answer with what was filled in.
 *
 * Ownership: consumes ${ui}.
 * Thread:    any; the ingress must still be there: else ingress_ui_free().
 */
void ingress_ui_return(struct ingress_ui *ui);
void ingress_ui_free(struct ingress_ui *ui);

/* Stop the threads and free it.  NULL has no effect.  Thread: as above. */
void ingress_free(struct ingress *ingress);

#endif /* !INGRESS_INGRESS_H_ */
