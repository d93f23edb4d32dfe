#ifndef SENTRY_TOKENS_H_
#define SENTRY_TOKENS_H_

/*
 * The vault: the tokens of every installation of every integration, sealed in
 * the store, refreshed ahead of their end.
 *
 * What holds at every moment, whoever is killed:
 * - a code and a refresh token are noted as spent, durably, before they are
 *   sent, and never sent again; whatever became of them, what follows is the
 *   JWT grant, which needs nothing but the client secret;
 * - a new token is durable before anybody gets it;
 * - of all that want a token at once (coroutines, workers, and by a lease in
 *   the store other hosts) one asks Sentry.
 *
 * Floor: 3 (sentry).  May include base/, json/, crypto/, store/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"

#include "sentry/reach.h"

struct err;
struct event_base;
struct mailbox;
struct seal;
struct store;
struct tokens;

/* Copied by tokens_configure(). */
struct tokens_integration {
	const char *name;
	const char *client_id; /* NULL: unknown, and nothing is exchanged. */
	const char *client_secret; /* The newest; NULL: as above. */
	const char *sentry_url;    /* No slash at its end. */
};

/* What tokens_options.notice tells. */
enum tokens_notice {
	TOKENS_EXCHANGED, /* A code became a token. */
	TOKENS_VERIFIED,  /* Sentry knows that it is installed. */
	TOKENS_REFRESHED,
	TOKENS_RECOVERED, /* By the JWT grant, where something else had failed:
			   * err says what. */
	TOKENS_FORGOTTEN,
	TOKENS_FAILED, /* No token: err. */
};

struct tokens_options {
	struct event_base *base;
	struct mailbox *mailbox; /* Opened by that loop. */
	struct store *store;
	const struct seal *seal;
	const char *owner; /* Of leases: no other host of that store has it. */
	int jwt_only;      /* Never use a refresh token. */
	void *cookie;

	/* Reaches Sentry: reach_send(), or another in tests. */
	void (*send)(void *reach, const struct reach_request *request,
	    reach_done_cb *done, void *cookie);
	void *reach;

	/* Now, since 1970; NULL: clock_unix_ms(). */
	uint64_t (*now_unix_ms)(void);

	/* A value must not be printed any more, or may be again.  May be NULL.
	 */
	void (*secret)(void *cookie, const char *value, int is_secret);

	/* What happened, for the log.  May be NULL. */
	void (*notice)(void *cookie, enum tokens_notice what,
	    const char *integration, const char *uuid, const struct err *err);
};

/* An installation; valid until the callback returns. */
struct tokens_installation {
	const char *uuid;
	const char *token;
	uint64_t serial;          /* Of the token: for tokens_ask.rejected. */
	uint64_t expires_unix_ms; /* 0: never. */
	const char *org_slug;     /* NULL where nobody has said it. */
	const char *app_slug;     /* The same. */
	const char *app_uuid;     /* The same. */
	int verified;
};

/* ${in} is NULL if there was trouble, or the installation is forgotten. */
typedef void tokens_done_cb(
    void *cookie, const struct tokens_installation *in, const struct err *err);

enum tokens_what {
	TOKENS_TOKEN,   /* A token that works. */
	TOKENS_INSTALL, /* The same, by the code if need be, and verified. */
	TOKENS_FORGET,  /* It is uninstalled. */
};

/* Copied by tokens_ask(). */
struct tokens_ask {
	enum tokens_what what;
	const char *integration;
	const char *uuid;     /* In any case. */
	const char *code;     /* INSTALL: NULL if there is none. */
	const char *org_slug; /* A hint; may be NULL. */
	uint64_t rejected; /* TOKEN: the serial of one that Sentry has refused,
			    * or 0. */
	tokens_done_cb *done;
	void *cookie;
};

/**
 * tokens_create(options):
 * Ownership: keeps what the options point to; the caller frees with
 *            tokens_free().
 * Thread:    that of the event base, as for everything here.
 */
struct tokens *tokens_create(const struct tokens_options *options);

/* These are the integrations from now on. */
void tokens_configure(
    struct tokens *tokens, const struct tokens_integration *list, size_t n);

/**
 * tokens_ask(tokens, ask):
 * Ask for something; ask->done is called once, perhaps before this returns.
 *
 * Errors:    ERR_INVALID      not a UUID; no client id or secret for it; the
 *                             answer makes no sense;
 *            ERR_NOT_FOUND    no such integration; no such installation;
 *            ERR_UNAUTH       Sentry refuses;
 *            ERR_UNAVAILABLE  Sentry or the store: later perhaps, and the
 *                             errors of fetch_start() that come by its result.
 */
void tokens_ask(struct tokens *tokens, const struct tokens_ask *ask);

/* Whether an integration has all that is needed to exchange a code. */
int tokens_can_exchange(const struct tokens *tokens, const char *integration);

/**
 * tokens_stop(tokens):
 * Ask the store and Sentry for nothing more; everybody who waits gets
 * ERR_UNAVAILABLE, at once or when the store has answered.  The reach may be
 * freed from now on.
 */
void tokens_stop(struct tokens *tokens);

/* Free it, when the store has answered all; NULL has no effect. */
void tokens_free(struct tokens *tokens);

/* Tests set this: it is called between any two steps of a flight; what is not 0
 * ends it there, as if the host had been killed. */
extern int (*tokens_fault_hook)(const char *point);

#endif /* !SENTRY_TOKENS_H_ */
