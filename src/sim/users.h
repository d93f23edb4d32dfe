#ifndef SIM_USERS_H_
#define SIM_USERS_H_

/*
 * What Sentry keeps as an OAuth 2 server: codes with their PKCE challenge,
 * device codes that wait for a person, and users' tokens.  No network and no
 * clock: every call is told what time it is.
 *
 * Floor: 5 (sim).  May include base/, crypto/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"

#define USERS_TOKEN_HEX 64
#define USERS_CODE_HEX 64
#define USERS_USER_CODE_SIZE 10 /* "XXXX-XXXX" and its NUL. */

#define USERS_TOKEN_S (30 * UINT64_C(86400))
#define USERS_CODE_S UINT64_C(600)
#define USERS_DEVICE_S UINT64_C(600)
#define USERS_INTERVAL_S UINT64_C(5)

/* However fast time goes, a device has so many polls. */
#define USERS_POLLS 10

/* Of each kind; later ones push the oldest out. */
#define USERS_MAX 1000

struct users;

struct users_token {
	char access[USERS_TOKEN_HEX + 1];
	char refresh[USERS_TOKEN_HEX + 1];
	char *scope; /* "org:read event:read"; may be empty. */
	uint64_t until_unix_ms;
};

struct users_device {
	char device_code[USERS_CODE_HEX + 1];
	char user_code[USERS_USER_CODE_SIZE];
};

enum users_decision {
	USERS_APPROVE,
	USERS_DENY,
	USERS_EXPIRE,
	USERS_SLOW_DOWN, /* The next poll is told so. */
};

/* As installs_create(): everything lasts its time divided by ${scale}, but a
 * second at least. */
struct users *users_create(uint64_t scale);
void users_free(struct users *users);

/* Whether every word of ${scope} is a scope of Sentry's. */
int users_scope_is_known(struct str scope);

/* A challenge of PKCE: 43 to 128 unreserved characters. */
int users_is_challenge(struct str challenge);

/**
 * users_add_code(users, redirect_uri, scope, challenge, now_unix_ms):
 * A person has said yes; ${challenge} is NULL without PKCE.
 *
 * Returns:   the code, until the next call.
 */
const char *users_add_code(struct users *users, const char *redirect_uri,
    const char *scope, const char *challenge, uint64_t now_unix_ms);

/**
 * users_redeem_code(users, code, redirect_uri, verifier, now_unix_ms, ret):
 * A token for a code, which is gone then, also if the verifier is wrong.
 * ${redirect_uri} and ${verifier} are NULL where they were not sent.
 *
 * Returns:   NULL, or the error: "invalid_grant".
 * Ownership: *${ret} is ${users}', until the next call.
 */
const char *users_redeem_code(struct users *users, struct str code,
    const char *redirect_uri, const char *verifier, uint64_t now_unix_ms,
    const struct users_token **ret) ATTR_MUSTCHECK;

/**
 * users_refresh(users, refresh_token, now_unix_ms, ret):
 * New tokens for a refresh token; the old ones mean nothing from then on.
 *
 * Returns:   NULL, or the error: "invalid_grant".
 */
const char *users_refresh(struct users *users, struct str refresh_token,
    uint64_t now_unix_ms, const struct users_token **ret) ATTR_MUSTCHECK;

/* A device that waits for a person.  Ownership: ${users}', until the next. */
const struct users_device *users_add_device(
    struct users *users, const char *scope, uint64_t now_unix_ms);

/* What a person, or the clock, does about a user code, in any case and with
 * or without its dash.  Returns 0, or -1 if no such device waits. */
int users_decide(struct users *users, struct str user_code,
    enum users_decision decision) ATTR_MUSTCHECK;

/**
 * users_poll(users, device_code, now_unix_ms, ret):
 * Ask for the token of a device.
 *
 * Returns:   NULL, or the error: "authorization_pending", "slow_down",
 *            "expired_token", "access_denied", "invalid_grant".
 */
const char *users_poll(struct users *users, struct str device_code,
    uint64_t now_unix_ms, const struct users_token **ret) ATTR_MUSTCHECK;

/**
 * users_authenticate(users, token, now_unix_ms):
 * Whether that is a user's access token.
 *
 * Returns:   NULL, or why not: "Token expired", "Token not found".
 */
const char *users_authenticate(const struct users *users, struct str token,
    uint64_t now_unix_ms) ATTR_MUSTCHECK;

/* Have every access token expire now.  Returns how many. */
size_t users_expire_all(struct users *users, uint64_t now_unix_ms);

/* How long a token and a device code are said to live, and how long a client
 * is told to wait between two polls: in whole seconds, at least one. */
uint64_t users_token_s(const struct users *users);
uint64_t users_device_s(const struct users *users);
uint64_t users_interval_s(const struct users *users);

#endif /* !SIM_USERS_H_ */
