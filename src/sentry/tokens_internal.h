#ifndef SENTRY_TOKENS_INTERNAL_H_
#define SENTRY_TOKENS_INTERNAL_H_

/*
 * The vault's parts: tokens.c (who asks, and what is known), tokens_flight.c
 * (getting a token), tokens_record.c (what is kept of one).
 *
 * Floor: 3 (sentry).  Private to its folder.
 */

#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "store/store.h"

#include "sentry/grant.h"
#include "sentry/tokens.h"

struct event;

#define TOKENS_BUCKETS 256

/* What is kept of an installation. */
struct tokens_record {
	struct grant grant;
	uint64_t serial; /* Of the token: another one each time. */
	uint64_t issued_unix_ms;
	char *code_spent; /* The hash of a code that was sent; or NULL. */
	int verified;
	struct grant_installation about;
};

/* Who waits. */
struct tokens_waiter {
	struct tokens_waiter *next;
	enum tokens_what what;
	char *code;
	uint64_t rejected;
	tokens_done_cb *done;
	void *cookie;
};

/* One installation. */
struct tokens_entry {
	struct tokens_entry *next;
	struct tokens *t;
	char *integration;
	char uuid[GRANT_UUID_SIZE];
	char *what; /* "token/default/UUID": to what it is sealed. */

	/* What is known of it: as it was last read or written. */
	struct tokens_record record;
	uint64_t version; /* 0: there is none, or nobody has looked. */
	int old_key;      /* It is sealed with a key that is replaced. */
	char *hidden;     /* The token that is not to be printed. */
	char *hidden_code;
	char *org_hint;

	/* When it went wrong. */
	unsigned int failures; /* In a row. */
	uint64_t failed_until_unix_ms;
	struct err trouble;

	/* While somebody waits. */
	int flying;
	int obtained; /* The token has come by this flight: as good as there
		       * is, whatever the clocks say. */
	int in_store; /* The store has the operation. */
	int at_sentry;
	struct tokens_waiter *waiters;
	struct store_record op;
	struct buf sealed;
	struct event *timer;
	void (*timed)(struct tokens_entry *entry);
	void (*saved)(struct tokens_entry *entry); /* Goes on then. */
	uint64_t begun_mono_ms;
	unsigned int tries; /* To save. */
	char *spending;     /* A refresh token or a code, to be sent. */
	struct err why;     /* Why the JWT grant is used. */
	struct err unreadable;
	uint64_t retry_after_ms;
};

struct tokens {
	struct tokens_options options;
	struct tokens_integration *integrations; /* Owns its texts. */
	size_t nintegrations;
	struct tokens_entry *buckets[TOKENS_BUCKETS];
	size_t nentries;
	int stopped;
};

/* ---- tokens.c ------------------------------------------------------------ */

uint64_t tokens_now(const struct tokens *t);
const struct tokens_integration *tokens_integration(
    const struct tokens *t, const char *name);
void tokens_notice(
    struct tokens_entry *e, enum tokens_notice what, const struct err *err);

/* Have the token and the code hidden wherever something is printed. */
void tokens_hide(struct tokens_entry *e);

/* Whether the token is there, and far enough from its end. */
int tokens_is_fresh(const struct tokens_entry *e);

/* Whether it would still be taken. */
int tokens_is_alive(const struct tokens_entry *e);

/* What a waiter wants is known. */
int tokens_is_satisfied(
    const struct tokens_entry *e, const struct tokens_waiter *w);

/* Answer a waiter, who is gone then.  ${err} NULL: with what is known. */
void tokens_answer(
    struct tokens_entry *e, struct tokens_waiter *w, const struct err *err);

/* ---- tokens_flight.c ----------------------------------------------------- */

void tokens_fly(struct tokens_entry *e);

/* Give up; the operation comes back first if the store has it. */
void tokens_land(struct tokens_entry *e);

/* ---- tokens_record.c ----------------------------------------------------- */

void tokens_record_clear(struct tokens_record *r);

/* Append it as JSON, and read it back: 0, or -1 if it is not one. */
void tokens_record_put(const struct tokens_record *r, struct buf *out);
int tokens_record_read(
    struct str json, struct tokens_record *ret) ATTR_MUSTCHECK;

/* What is kept of a code that was spent.  Ownership: free(). */
char *tokens_code_hash(const char *code);

#endif /* !SENTRY_TOKENS_INTERNAL_H_ */
