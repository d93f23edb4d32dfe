#ifndef SENTRY_GRANT_H_
#define SENTRY_GRANT_H_

/*
 * What an installation of an integration and Sentry say to each other about
 * tokens: the bodies of requests, and the answers read.
 *
 * Floor: 3 (sentry).  May include base/, json/, crypto/.
 */

#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"

struct buf;
struct err;

/* "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" and its NUL. */
#define GRANT_UUID_SIZE 37

/* Seconds that a JWT lives. */
#define GRANT_JWT_SECONDS 60

/* A token and what came with it.  Texts are owned; all zero is none. */
struct grant {
	char *token;
	char *refresh;            /* NULL: there is none, or it is spent. */
	uint64_t expires_unix_ms; /* 0: never. */
};

/* What Sentry says an installation is.  Texts are owned, and may be NULL. */
struct grant_installation {
	char *app_slug;
	char *app_uuid;
	char *org_slug;
	char *status;
};

void grant_clear(struct grant *grant); /* Wipes the tokens. */
void grant_installation_clear(struct grant_installation *installation);

/* Whether it is a UUID with its dashes, in any case. */
int grant_is_uuid(struct str s);

/* Whether it can be the slug of an organization: [a-z0-9-]+. */
int grant_is_slug(struct str s);

/* Append ".../sentry-app-installations/UUID/", and its authorizations/. */
void grant_put_url(
    struct buf *out, const char *sentry_url, const char *uuid, int authorize);

/* Append the body that exchanges a code, refreshes, or is sent with a JWT. */
void grant_put_code(struct buf *out, const char *code, const char *client_id,
    const char *client_secret);
void grant_put_refresh(struct buf *out, const char *refresh,
    const char *client_id, const char *client_secret);
void grant_put_jwt_body(struct buf *out);

/* Append the JWT itself: of the integration, signed with its secret; ${jti} is
 * a number that is used once. */
void grant_put_jwt(struct buf *out, const char *client_id,
    const char *client_secret, uint64_t now_unix_ms, const char *jti);

/**
 * grant_read(body, now_unix_ms, ret, err):
 * Read the answer to any of them.
 *
 * Errors:    ERR_INVALID      not JSON, or without a token.
 * Ownership: the caller frees with grant_clear().
 */
int grant_read(struct str body, uint64_t now_unix_ms, struct grant *ret,
    struct err *err) ATTR_MUSTCHECK;

/* The same for an installation; what is missing is NULL. */
int grant_read_installation(struct str body, struct grant_installation *ret,
    struct err *err) ATTR_MUSTCHECK;

/**
 * grant_refusal(what, status, body, err):
 * What Sentry said no with, as an error: "${what}: Sentry answered 401: ...".
 *
 * Errors:    ERR_UNAUTH       401, 403; ERR_NOT_FOUND 404, 410;
 *            ERR_UNAVAILABLE  429 and 5xx: later perhaps;
 *            ERR_INVALID      everything else.
 * Returns:   -1.
 */
int grant_refusal(
    const char *what, unsigned int status, struct str body, struct err *err);

#endif /* !SENTRY_GRANT_H_ */
