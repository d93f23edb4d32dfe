#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "crypto/base64.h"
#include "crypto/digest.h"
#include "crypto/random.h"
#include "crypto/secret.h"

#include "sim/users.h"

struct code {
	char code[USERS_CODE_HEX + 1];
	char *redirect_uri;
	char *scope;
	char *challenge; /* NULL without PKCE. */
	uint64_t until_unix_ms;
};

struct device {
	struct users_device is;
	char *scope;
	uint64_t until_unix_ms;
	uint64_t polled_unix_ms; /* 0: never. */
	int approved;
	int denied;
	int slow_down;
};

struct users {
	uint64_t scale;
	struct code codes[USERS_MAX];
	size_t ncodes;
	struct device devices[USERS_MAX];
	size_t ndevices;
	struct users_token tokens[USERS_MAX];
	size_t ntokens;
	struct users_device last_device;
};

static const char *const scopes[] = {"org:read", "org:write", "org:admin",
    "org:integrations", "org:ci", "member:invite", "member:read",
    "member:write", "member:admin", "team:read", "team:write", "team:admin",
    "project:read", "project:write", "project:admin", "project:releases",
    "project:distribution", "event:read", "event:write", "event:admin",
    "alerts:read", "alerts:write", "openid", "profile", "email"};

/* No vowel and nothing that looks like something else. */
static const char letters[] = "BCDFGHJKLMNPQRSTVWXZ";

static int
is_same(const char *secret, struct str given)
{
	return secret_equal(secret, strlen(secret), given.data, given.len);
}

static uint64_t
whole_seconds(uint64_t s, uint64_t scale)
{
	return s / scale == 0 ? 1 : s / scale;
}

uint64_t
users_token_s(const struct users *users)
{
	return whole_seconds(USERS_TOKEN_S, users->scale);
}

uint64_t
users_interval_s(const struct users *users)
{
	return whole_seconds(USERS_INTERVAL_S, users->scale);
}

uint64_t
users_device_s(const struct users *users)
{
	uint64_t lives_s = whole_seconds(USERS_DEVICE_S, users->scale),
		 polls_s = USERS_POLLS * users_interval_s(users);

	return lives_s < polls_s ? polls_s : lives_s;
}

/* ---- their lives ----------------------------------------------------------
 */

static void
code_clear(struct code *code)
{
	free(code->redirect_uri);
	free(code->scope);
	free(code->challenge);
}

static void
drop_code(struct users *users, size_t i)
{
	code_clear(&users->codes[i]);
	users->ncodes--;
	(void)memmove(users->codes + i, users->codes + i + 1,
	    (users->ncodes - i) * sizeof(users->codes[0]));
}

static void
drop_device(struct users *users, size_t i)
{
	free(users->devices[i].scope);
	users->ndevices--;
	(void)memmove(users->devices + i, users->devices + i + 1,
	    (users->ndevices - i) * sizeof(users->devices[0]));
}

static void
drop_token(struct users *users, size_t i)
{
	free(users->tokens[i].scope);
	users->ntokens--;
	(void)memmove(users->tokens + i, users->tokens + i + 1,
	    (users->ntokens - i) * sizeof(users->tokens[0]));
}

struct users *
users_create(uint64_t scale)
{
	struct users *users = mem_zalloc(sizeof(*users));

	users->scale = scale;
	return users;
}

void
users_free(struct users *users)
{
	if (users == NULL)
		return;
	while (users->ncodes > 0)
		drop_code(users, users->ncodes - 1);
	while (users->ndevices > 0)
		drop_device(users, users->ndevices - 1);
	while (users->ntokens > 0)
		drop_token(users, users->ntokens - 1);
	secret_wipe(users, sizeof(*users));
	free(users);
}

int
users_scope_is_known(struct str scope)
{
	size_t i, len;

	while (scope.len > 0) {
		for (len = 0; len < scope.len && scope.data[len] != ' '; len++)
			continue;
		for (i = 0; i < NELEMS(scopes); i++) {
			if (str_eq(str_of(scopes[i]),
				(struct str){scope.data, len}))
				break;
		}
		if (len > 0 && i == NELEMS(scopes))
			return 0;
		len += len < scope.len;
		scope.data += len;
		scope.len -= len;
	}
	return 1;
}

int
users_is_challenge(struct str challenge)
{
	size_t i;

	if (challenge.len < 43 || challenge.len > 128)
		return 0;
	for (i = 0; i < challenge.len; i++) {
		if (!isalnum((unsigned char)challenge.data[i]) &&
		    memchr("-._~", challenge.data[i], 4) == NULL)
			return 0;
	}
	return 1;
}

/* ---- tokens ---------------------------------------------------------------
 */

static void
fill_token(
    const struct users *users, struct users_token *token, uint64_t now_unix_ms)
{
	random_hex(token->access, USERS_TOKEN_HEX / 2);
	random_hex(token->refresh, USERS_TOKEN_HEX / 2);
	token->until_unix_ms = now_unix_ms + users_token_s(users) * 1000;
}

static const struct users_token *
add_token(struct users *users, const char *scope, uint64_t now_unix_ms)
{
	struct users_token *token;

	if (users->ntokens == USERS_MAX)
		drop_token(users, 0);
	token = &users->tokens[users->ntokens++];
	token->scope = mem_strdup(scope);
	fill_token(users, token, now_unix_ms);
	return token;
}

const char *
users_refresh(struct users *users, struct str refresh_token,
    uint64_t now_unix_ms, const struct users_token **ret)
{
	size_t i;

	for (i = 0; i < users->ntokens; i++) {
		if (!is_same(users->tokens[i].refresh, refresh_token))
			continue;
		fill_token(users, &users->tokens[i], now_unix_ms);
		*ret = &users->tokens[i];
		return NULL;
	}
	return "invalid_grant";
}

const char *
users_authenticate(
    const struct users *users, struct str token, uint64_t now_unix_ms)
{
	size_t i;

	for (i = 0; i < users->ntokens; i++) {
		if (is_same(users->tokens[i].access, token))
			return now_unix_ms >= users->tokens[i].until_unix_ms
				   ? "Token expired"
				   : NULL;
	}
	return "Token not found";
}

size_t
users_expire_all(struct users *users, uint64_t now_unix_ms)
{
	size_t i, n = 0;

	for (i = 0; i < users->ntokens; i++) {
		if (users->tokens[i].until_unix_ms <= now_unix_ms)
			continue;
		users->tokens[i].until_unix_ms = now_unix_ms;
		n++;
	}
	return n;
}

/* ---- codes ----------------------------------------------------------------
 */

const char *
users_add_code(struct users *users, const char *redirect_uri, const char *scope,
    const char *challenge, uint64_t now_unix_ms)
{
	struct code *code;

	if (users->ncodes == USERS_MAX)
		drop_code(users, 0);
	code = &users->codes[users->ncodes++];
	random_hex(code->code, USERS_CODE_HEX / 2);
	code->redirect_uri = mem_strdup(redirect_uri);
	code->scope = mem_strdup(scope);
	code->challenge = mem_strdup(challenge);
	code->until_unix_ms =
	    now_unix_ms + whole_seconds(USERS_CODE_S, users->scale) * 1000;
	return code->code;
}

/* Whether ${verifier} is what the challenge was made of (RFC 7636, 4.6). */
static int
verifier_fits(const char *challenge, const char *verifier)
{
	uint8_t digest[DIGEST_BYTES];
	struct buf made = BUF_INIT;
	int fits;

	if (challenge == NULL || verifier == NULL)
		return challenge == NULL && verifier == NULL;
	if (!users_is_challenge(str_of(verifier)))
		return 0;
	digest_sha256(verifier, strlen(verifier), digest);
	base64_encode(&made, BASE64_URL, digest, sizeof(digest));
	fits = is_same(challenge, (struct str){buf_text(&made), made.len});
	buf_free(&made);
	return fits;
}

const char *
users_redeem_code(struct users *users, struct str code,
    const char *redirect_uri, const char *verifier, uint64_t now_unix_ms,
    const struct users_token **ret)
{
	const struct code *found;
	int good;
	size_t i;

	for (i = 0; i < users->ncodes; i++) {
		if (is_same(users->codes[i].code, code))
			break;
	}
	if (i == users->ncodes)
		return "invalid_grant";
	found = &users->codes[i];
	good = now_unix_ms < found->until_unix_ms && redirect_uri != NULL &&
	       strcmp(redirect_uri, found->redirect_uri) == 0 &&
	       verifier_fits(found->challenge, verifier);
	if (good)
		*ret = add_token(users, found->scope, now_unix_ms);
	drop_code(users, i);
	return good ? NULL : "invalid_grant";
}

/* ---- devices --------------------------------------------------------------
 */

static void
make_user_code(char ret[static USERS_USER_CODE_SIZE])
{
	uint8_t byte;
	size_t i;

	for (i = 0; i < USERS_USER_CODE_SIZE - 1; i++) {
		if (i == 4) {
			ret[i] = '-';
			continue;
		}
		/* 240 is a multiple of 20: no letter comes more often. */
		do {
			random_bytes(&byte, 1);
		} while (byte >= 240);
		ret[i] = letters[byte % (sizeof(letters) - 1)];
	}
	ret[i] = '\0';
}

const struct users_device *
users_add_device(struct users *users, const char *scope, uint64_t now_unix_ms)
{
	struct device *device;

	if (users->ndevices == USERS_MAX)
		drop_device(users, 0);
	device = &users->devices[users->ndevices++];
	*device = (struct device){0};
	random_hex(device->is.device_code, USERS_CODE_HEX / 2);
	make_user_code(device->is.user_code);
	device->scope = mem_strdup(scope);
	device->until_unix_ms = now_unix_ms + users_device_s(users) * 1000;
	users->last_device = device->is;
	return &users->last_device;
}

/* "wdjbmjht" is "WDJB-MJHT". */
static int
is_user_code(const char *code, struct str given)
{
	size_t i, k = 0;

	for (i = 0; i < given.len; i++) {
		if (given.data[i] == '-' || given.data[i] == ' ')
			continue;
		if (code[k] == '-')
			k++;
		if (code[k] == '\0' ||
		    toupper((unsigned char)given.data[i]) != code[k])
			return 0;
		k++;
	}
	return code[k] == '\0';
}

int
users_decide(
    struct users *users, struct str user_code, enum users_decision decision)
{
	struct device *device = NULL;
	size_t i;

	for (i = 0; i < users->ndevices; i++) {
		if (is_user_code(users->devices[i].is.user_code, user_code))
			device = &users->devices[i];
	}
	if (device == NULL)
		return -1;
	switch (decision) {
	case USERS_APPROVE:
		device->approved = 1;
		device->denied = 0;
		break;
	case USERS_DENY:
		device->denied = 1;
		device->approved = 0;
		break;
	case USERS_EXPIRE:
		device->until_unix_ms = 0;
		break;
	case USERS_SLOW_DOWN:
	default:
		device->slow_down = 1;
		break;
	}
	return 0;
}

const char *
users_poll(struct users *users, struct str device_code, uint64_t now_unix_ms,
    const struct users_token **ret)
{
	const char *error = NULL;
	struct device *device;
	size_t i;

	for (i = 0; i < users->ndevices; i++) {
		if (is_same(users->devices[i].is.device_code, device_code))
			break;
	}
	if (i == users->ndevices)
		return "invalid_grant";
	device = &users->devices[i];
	if (now_unix_ms >= device->until_unix_ms) {
		drop_device(users, i);
		return "expired_token";
	}
	/* One poll a window; those that come too early do not move it. */
	if (device->slow_down ||
	    (device->polled_unix_ms != 0 &&
		now_unix_ms - device->polled_unix_ms <
		    USERS_INTERVAL_S * 1000 / users->scale)) {
		device->slow_down = 0;
		return "slow_down";
	}
	device->polled_unix_ms = now_unix_ms;
	if (!device->denied && !device->approved)
		return "authorization_pending";
	if (device->denied)
		error = "access_denied";
	else
		*ret = add_token(users, device->scope, now_unix_ms);
	drop_device(users, i);
	return error;
}
