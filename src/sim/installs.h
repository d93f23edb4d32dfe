#ifndef SIM_INSTALLS_H_
#define SIM_INSTALLS_H_

/*
 * What Sentry keeps of an integration's installations: the code that is
 * exchanged once, and the one token that each of them has.  No network and no
 * clock: every call is told what time it is.
 *
 * Floor: 5 (sim).  May include base/, json/, crypto/.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"
#include "crypto/random.h"

/* How long things live, and a token's length. */
#define INSTALLS_CODE_MS (10 * UINT64_C(60000))
#define INSTALLS_TOKEN_MS (8 * UINT64_C(3600000))
#define INSTALLS_LEAST_MS UINT64_C(1000)
#define INSTALLS_TOKEN_HEX 64
#define INSTALLS_CODE_HEX 32

/* Later ones push the oldest out. */
#define INSTALLS_MAX 1000

struct installs;

struct install {
	char uuid[RANDOM_UUID_SIZE];
	uint64_t number; /* 1, 2, ...: the installation's id. */
	char *org;       /* Slug. */
	char *webhook;   /* Where its deliveries go, or NULL. */
	int published;   /* Failed deliveries are repeated. */
	int installed;   /* Verified; else "pending". */

	char code[INSTALLS_CODE_HEX + 1]; /* "" once it was exchanged. */
	uint64_t code_until_unix_ms;

	char token[INSTALLS_TOKEN_HEX + 1]; /* "" before the exchange. */
	char refresh[INSTALLS_TOKEN_HEX + 1];
	uint64_t token_id;
	uint64_t token_created_unix_ms;
	uint64_t token_until_unix_ms;
};

/* Why a request was refused, as Sentry says it. */
struct installs_refusal {
	int status;
	const char *detail;
};

/**
 * installs_create(client_id, secrets, nsecrets, scale):
 * No installation yet, of the integration that ${client_id} and any of the
 * ${nsecrets} secrets are of.  All that lasts some time lasts that time divided
 * by ${scale}, but a second at least.
 *
 * Ownership: keeps ${client_id} and ${secrets}; the caller frees with
 *            installs_free().
 */
struct installs *installs_create(const char *client_id,
    const char *const *secrets, size_t nsecrets, uint64_t scale);
void installs_free(struct installs *installs);

/**
 * installs_add(installs, org, webhook, published, now_unix_ms):
 * Install the integration in ${org}: pending, with a fresh code.
 *
 * Ownership: borrows the text; the result is ${installs}', until it is removed.
 */
struct install *installs_add(struct installs *installs, const char *org,
    const char *webhook, int published, uint64_t now_unix_ms);

/* The installation of that UUID, or NULL; and the newest. */
struct install *installs_find(const struct installs *installs, struct str uuid);
struct install *installs_newest(const struct installs *installs);

/* How many there are, and each, the oldest first. */
size_t installs_count(const struct installs *installs);
struct install *installs_at(const struct installs *installs, size_t index);

void installs_remove(struct installs *installs, struct install *install);

/* Whether these are the integration's own. */
int installs_is_client(
    const struct installs *installs, struct str id, struct str secret);

/**
 * installs_exchange(installs, install, code, now_unix_ms, ret):
 * Give the installation its token for its code, which is gone then.
 *
 * Returns:   0, or -1 and ${ret} says why not (401).
 */
int installs_exchange(struct installs *installs, struct install *install,
    struct str code, uint64_t now_unix_ms,
    struct installs_refusal *ret) ATTR_MUSTCHECK;

/**
 * installs_refresh(installs, install, refresh_token, now_unix_ms, ret):
 * Replace the token: the old one and its refresh token mean nothing from then
 * on.
 *
 * Returns:   0, or -1 and ${ret} says why not (401).
 */
int installs_refresh(struct installs *installs, struct install *install,
    struct str refresh_token, uint64_t now_unix_ms,
    struct installs_refusal *ret) ATTR_MUSTCHECK;

/**
 * installs_refresh_jwt(installs, install, jwt, now_unix_ms, ret):
 * The same for a JSON Web Token that is signed with the client secret: HS256,
 * iss and sub are the client id, exp is to come, iat is not, jti is there.
 *
 * Returns:   0, or -1 and ${ret} says why not (401).
 */
int installs_refresh_jwt(struct installs *installs, struct install *install,
    struct str jwt, uint64_t now_unix_ms,
    struct installs_refusal *ret) ATTR_MUSTCHECK;

/**
 * installs_authenticate(installs, token, now_unix_ms, ret_install, ret):
 * Find out whose token this is.
 *
 * Returns:   0, or -1 and ${ret} says why not (401).
 */
int installs_authenticate(const struct installs *installs, struct str token,
    uint64_t now_unix_ms, struct install **ret_install,
    struct installs_refusal *ret) ATTR_MUSTCHECK;

#endif /* !SIM_INSTALLS_H_ */
