#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "crypto/base64.h"
#include "crypto/secret.h"
#include "crypto/signature.h"
#include "json/jdoc.h"

#include "sim/installs.h"

/* Clocks of two machines differ a little. */
#define SKEW_S 60

struct installs {
	const char *client_id;
	const char *const *secrets;
	size_t nsecrets;
	uint64_t scale;
	struct install **items; /* The oldest first. */
	size_t n, cap;
	uint64_t next_number;
	uint64_t next_token_id;
};

static int
refuse(struct installs_refusal *ret, const char *detail)
{
	ret->status = 401;
	ret->detail = detail;
	return -1;
}

/* How long something lasts here that lasts ${ms} at Sentry. */
static uint64_t
lasts(const struct installs *installs, uint64_t ms)
{
	ms /= installs->scale;
	return ms < INSTALLS_LEAST_MS ? INSTALLS_LEAST_MS : ms;
}

static int
is_same(const char *secret, struct str given)
{
	return secret[0] != '\0' &&
	       secret_equal(secret, strlen(secret), given.data, given.len);
}

struct installs *
installs_create(const char *client_id, const char *const *secrets,
    size_t nsecrets, uint64_t scale)
{
	struct installs *installs = mem_zalloc(sizeof(*installs));

	installs->client_id = client_id;
	installs->secrets = secrets;
	installs->nsecrets = nsecrets;
	installs->scale = scale;
	installs->next_number = 1;
	installs->next_token_id = 1;
	return installs;
}

static void
install_free(struct install *install)
{
	free(install->org);
	free(install->webhook);
	secret_wipe(install, sizeof(*install));
	free(install);
}

void
installs_free(struct installs *installs)
{
	size_t i;

	if (installs == NULL)
		return;
	for (i = 0; i < installs->n; i++)
		install_free(installs->items[i]);
	free(installs->items);
	free(installs);
}

struct install *
installs_add(struct installs *installs, const char *org, const char *webhook,
    int published, uint64_t now_unix_ms)
{
	struct install *install;

	if (installs->n == INSTALLS_MAX)
		installs_remove(installs, installs->items[0]);
	install = mem_zalloc(sizeof(*install));
	(void)random_uuid4(install->uuid);
	install->number = installs->next_number++;
	install->org = mem_strdup(org);
	install->webhook = mem_strdup(webhook);
	install->published = published;
	random_hex(install->code, INSTALLS_CODE_HEX / 2);
	install->code_until_unix_ms =
	    now_unix_ms + lasts(installs, INSTALLS_CODE_MS);
	installs->items = mem_grow(installs->items, &installs->cap,
	    installs->n + 1, sizeof(struct install *));
	installs->items[installs->n++] = install;
	return install;
}

struct install *
installs_find(const struct installs *installs, struct str uuid)
{
	size_t i;

	for (i = installs->n; i-- > 0;) {
		if (str_eq(str_of(installs->items[i]->uuid), uuid))
			return installs->items[i];
	}
	return NULL;
}

struct install *
installs_newest(const struct installs *installs)
{
	return installs->n == 0 ? NULL : installs->items[installs->n - 1];
}

size_t
installs_count(const struct installs *installs)
{
	return installs->n;
}

struct install *
installs_at(const struct installs *installs, size_t index)
{
	return index < installs->n ? installs->items[index] : NULL;
}

void
installs_remove(struct installs *installs, struct install *install)
{
	size_t i;

	for (i = 0; i < installs->n; i++) {
		if (installs->items[i] == install)
			break;
	}
	if (i == installs->n)
		return;
	install_free(install);
	installs->n--;
	(void)memmove(installs->items + i, installs->items + i + 1,
	    (installs->n - i) * sizeof(struct install *));
}

int
installs_is_client(
    const struct installs *installs, struct str id, struct str secret)
{
	size_t i;
	int same = 0;

	for (i = 0; i < installs->nsecrets; i++)
		same |= is_same(installs->secrets[i], secret);
	return same && str_eq(str_of(installs->client_id), id);
}

static void
give_token(
    struct installs *installs, struct install *install, uint64_t now_unix_ms)
{
	random_hex(install->token, INSTALLS_TOKEN_HEX / 2);
	random_hex(install->refresh, INSTALLS_TOKEN_HEX / 2);
	install->token_id = installs->next_token_id++;
	install->token_created_unix_ms = now_unix_ms;
	install->token_until_unix_ms =
	    now_unix_ms + lasts(installs, INSTALLS_TOKEN_MS);
}

int
installs_exchange(struct installs *installs, struct install *install,
    struct str code, uint64_t now_unix_ms, struct installs_refusal *ret)
{
	const struct install *other;
	size_t i;

	if (!is_same(install->code, code)) {
		for (i = 0; i < installs->n; i++) {
			other = installs->items[i];
			if (other != install && is_same(other->code, code))
				return refuse(ret, "Forbidden grant");
		}
		return refuse(ret, "Could not find grant for given code");
	}
	if (now_unix_ms >= install->code_until_unix_ms)
		return refuse(ret, "Grant has already expired");
	install->code[0] = '\0';
	give_token(installs, install, now_unix_ms);
	return 0;
}

int
installs_refresh(struct installs *installs, struct install *install,
    struct str refresh_token, uint64_t now_unix_ms,
    struct installs_refusal *ret)
{
	if (!is_same(install->refresh, refresh_token))
		return refuse(
		    ret, "Could not find token for given refresh token");
	give_token(installs, install, now_unix_ms);
	return 0;
}

/* ---- the token that a client signs --------------------------------------- */

/* Take what stands before the next point (or the end) off ${rest}, decoded. */
static int
take_part(struct str *rest, struct buf *out)
{
	const char *point = memchr(rest->data, '.', rest->len);
	size_t len = point == NULL ? rest->len : (size_t)(point - rest->data);
	int rc = base64_decode(out, BASE64_URL, rest->data, len, NULL);

	rest->data += point == NULL ? len : len + 1;
	rest->len -= point == NULL ? len : len + 1;
	return rc;
}

static int
is_signed(const struct installs *installs, struct str text, struct str mac)
{
	struct signature_key *key;
	uint8_t wanted[SIGNATURE_BYTES];
	size_t i;
	int same = 0;

	for (i = 0; i < installs->nsecrets; i++) {
		key = signature_key_create(
		    installs->secrets[i], strlen(installs->secrets[i]));
		signature_hmac(key, text.data, text.len, wanted);
		signature_key_free(key);
		same |= secret_equal(wanted, sizeof(wanted), mac.data, mac.len);
	}
	return same;
}

/* What is wrong with the claims, or NULL. */
static const char *
check_claims(const struct installs *installs, const struct jval *claims,
    uint64_t now_unix_ms)
{
	const struct jval *exp = jdoc_gets(claims, "exp"),
			  *iat = jdoc_gets(claims, "iat");
	double now_s = (double)now_unix_ms / 1000;

	if (!str_eq(jdoc_get_str(claims, "iss"), str_of(installs->client_id)))
		return "Invalid JWT: iss is not the client id";
	if (!str_eq(jdoc_get_str(claims, "sub"), str_of(installs->client_id)))
		return "Invalid JWT: sub is not the client id";
	if (exp == NULL || !jval_is_number(exp) || iat == NULL ||
	    !jval_is_number(iat))
		return "Invalid JWT: iat and exp must be numbers";
	if (jval_double(exp) <= now_s)
		return "Invalid JWT: Signature has expired";
	if (jval_double(iat) > now_s + SKEW_S)
		return "Invalid JWT: iat is in the future";
	if (jdoc_get_str(claims, "jti").len == 0)
		return "Invalid JWT: jti is missing";
	return NULL;
}

/* What is wrong with the token, or NULL. */
static const char *
check_jwt(const struct installs *installs, struct str jwt, uint64_t now_unix_ms)
{
	struct buf header = BUF_INIT, claims = BUF_INIT, mac = BUF_INIT;
	struct jdoc doc = {0};
	struct str rest = jwt, text;
	const char *wrong = "Invalid JWT: malformed";

	if (take_part(&rest, &header) == -1 ||
	    take_part(&rest, &claims) == -1 || rest.len == 0)
		goto out;
	text = (struct str){jwt.data, (size_t)(rest.data - jwt.data) - 1};
	if (take_part(&rest, &mac) == -1 || rest.len > 0)
		goto out;
	if (jdoc_parse(&doc, buf_text(&header), header.len, NULL, NULL) == -1)
		goto out;
	if (!str_eq(jdoc_get_str(jdoc_root(&doc), "alg"), STR("HS256"))) {
		wrong = "Invalid JWT: alg is not HS256";
		goto out;
	}
	if (!is_signed(installs, text, (struct str){buf_text(&mac), mac.len})) {
		wrong = "Invalid JWT: Signature verification failed";
		goto out;
	}
	if (jdoc_parse(&doc, buf_text(&claims), claims.len, NULL, NULL) == -1)
		goto out;
	wrong = check_claims(installs, jdoc_root(&doc), now_unix_ms);

out:
	jdoc_free(&doc);
	buf_free(&header);
	buf_free(&claims);
	buf_free(&mac);
	return wrong;
}

int
installs_refresh_jwt(struct installs *installs, struct install *install,
    struct str jwt, uint64_t now_unix_ms, struct installs_refusal *ret)
{
	const char *wrong = check_jwt(installs, jwt, now_unix_ms);

	if (wrong != NULL)
		return refuse(ret, wrong);
	/* Only what has a token can have it replaced. */
	if (install->token[0] == '\0')
		return refuse(ret, "Installation has no token to refresh");
	give_token(installs, install, now_unix_ms);
	return 0;
}

int
installs_authenticate(const struct installs *installs, struct str token,
    uint64_t now_unix_ms, struct install **ret_install,
    struct installs_refusal *ret)
{
	size_t i;

	for (i = 0; i < installs->n; i++) {
		if (!is_same(installs->items[i]->token, token))
			continue;
		if (now_unix_ms >= installs->items[i]->token_until_unix_ms)
			return refuse(ret, "Token expired");
		*ret_install = installs->items[i];
		return 0;
	}
	return refuse(ret, "Token not found");
}
