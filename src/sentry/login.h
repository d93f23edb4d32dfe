#ifndef SENTRY_LOGIN_H_
#define SENTRY_LOGIN_H_

/*
 * A person's token by OAuth 2, for the command line: what a public client (one
 * without a secret) and Sentry say to each other.  RFC 6749, RFC 7636 (PKCE,
 * S256), RFC 8628 (devices).  Bodies and answers alone; who sends them is the
 * caller's business.
 *
 * Floor: 3 (sentry).  May include base/, json/, crypto/.
 */

#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"

struct buf;
struct err;

/* What a client waits between two polls, and longer when it is told to. */
#define LOGIN_INTERVAL_S 5
#define LOGIN_SLOW_DOWN_S 5

/* Longer ones are not believed. */
#define LOGIN_MAX_S (UINT64_C(3650) * 86400)

/* 32 random bytes in base64 of URLs, and a NUL. */
#define LOGIN_SECRET_SIZE 44

/* A token and what came with it.  Texts are owned; all zero is none. */
struct login {
	char *sentry_url; /* Of the server that gave it. */
	char *client_id;
	char *access;
	char *refresh; /* NULL: there is none. */
	char *scope;   /* May be NULL. */
	char *who;     /* "Ada <ada@example.com>"; may be NULL. */
	uint64_t created_unix_ms;
	uint64_t expires_unix_ms; /* 0: never. */
};

/* A device that waits to be confirmed.  Texts are owned. */
struct login_device {
	char *device_code;
	char *user_code;
	char *uri;
	char *uri_complete; /* With the code in it; may be NULL. */
	uint64_t expires_in_s;
	uint64_t interval_s; /* At least 1. */
};

/* What came of a poll for a device, or of another request for a token. */
enum login_outcome {
	LOGIN_GOOD,
	LOGIN_PENDING,
	LOGIN_SLOW_DOWN,
	LOGIN_DENIED,
	LOGIN_EXPIRED,
	LOGIN_INVALID, /* The code or the refresh token is good for nothing. */
	LOGIN_LATER,   /* 429 or 5xx: perhaps another time. */
	LOGIN_REFUSED, /* Anything else. */
};

void login_clear(struct login *login); /* Wipes the tokens. */
void login_device_clear(struct login_device *device);

/* Append bodies, as forms: of the request for a device, of a poll, of an
 * exchange, of a refresh. */
void login_put_device(
    struct buf *out, const char *client_id, const char *scope);
void login_put_poll(
    struct buf *out, const char *client_id, const char *device_code);
void login_put_code(struct buf *out, const char *client_id, const char *code,
    const char *redirect_uri, const char *verifier);
void login_put_refresh(
    struct buf *out, const char *client_id, const char *refresh);

/* Make a verifier, or a state: 43 characters that nobody can guess. */
char *login_make_secret(char ret[static LOGIN_SECRET_SIZE]);

/* Append the address that the browser is sent to. */
void login_put_authorize(struct buf *out, const char *sentry_url,
    const char *client_id, const char *redirect_uri, const char *scope,
    const char *state, const char *verifier);

/**
 * login_read_device(body, ret, err):
 * Read the answer to a request for a device.
 *
 * Errors:    ERR_INVALID      not that; the message says what is missing.
 * Ownership: the caller frees with login_device_clear().
 */
int login_read_device(
    struct str body, struct login_device *ret, struct err *err) ATTR_MUSTCHECK;

/**
 * login_read_token(status, body, now_unix_ms, ret, err):
 * Read the answer to a request for a token.
 *
 * Returns:   what came of it.  With LOGIN_GOOD ${ret} is filled in, but for
 *            sentry_url and client_id, which stay; else ${err} says why not,
 *            for a person.
 * Ownership: the caller frees with login_clear().
 */
enum login_outcome login_read_token(unsigned int status, struct str body,
    uint64_t now_unix_ms, struct login *ret, struct err *err) ATTR_MUSTCHECK;

/* Say in ${err} what a server said no with.  Returns -1. */
int login_refusal(unsigned int status, struct str body, struct err *err);

/* Whether it is time for another token: a minute before the end, or in the last
 * tenth of a short life. */
int login_is_due(const struct login *login, uint64_t now_unix_ms);
int login_is_over(const struct login *login, uint64_t now_unix_ms);

#endif /* !SENTRY_LOGIN_H_ */
