#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/form.h"
#include "base/mem.h"
#include "crypto/base64.h"
#include "crypto/digest.h"
#include "crypto/random.h"
#include "crypto/secret.h"
#include "json/jdoc.h"

#include "sentry/login.h"

#define DEVICE_GRANT "urn:ietf:params:oauth:grant-type:device_code"

/* Where a server does not say how long a device may wait. */
#define DEFAULT_EXPIRES_S 600

#define DUE_MS UINT64_C(60000)

static void
wipe(char *s)
{
	if (s != NULL)
		secret_wipe(s, strlen(s));
	free(s);
}

void
login_clear(struct login *login)
{
	free(login->sentry_url);
	free(login->client_id);
	wipe(login->access);
	wipe(login->refresh);
	free(login->scope);
	free(login->who);
	*login = (struct login){0};
}

void
login_device_clear(struct login_device *device)
{
	wipe(device->device_code);
	free(device->user_code);
	free(device->uri);
	free(device->uri_complete);
	*device = (struct login_device){0};
}

/* ---- what is asked --------------------------------------------------------
 */

void
login_put_device(struct buf *out, const char *client_id, const char *scope)
{
	form_put(out, "client_id", client_id);
	form_put(out, "scope", scope);
}

void
login_put_poll(struct buf *out, const char *client_id, const char *device_code)
{
	form_put(out, "grant_type", DEVICE_GRANT);
	form_put(out, "device_code", device_code);
	form_put(out, "client_id", client_id);
}

void
login_put_code(struct buf *out, const char *client_id, const char *code,
    const char *redirect_uri, const char *verifier)
{
	form_put(out, "grant_type", "authorization_code");
	form_put(out, "code", code);
	form_put(out, "redirect_uri", redirect_uri);
	form_put(out, "client_id", client_id);
	form_put(out, "code_verifier", verifier);
}

void
login_put_refresh(struct buf *out, const char *client_id, const char *refresh)
{
	form_put(out, "grant_type", "refresh_token");
	form_put(out, "refresh_token", refresh);
	form_put(out, "client_id", client_id);
}

char *
login_make_secret(char ret[static LOGIN_SECRET_SIZE])
{
	struct buf text = BUF_INIT;
	uint8_t bytes[32];

	random_bytes(bytes, sizeof(bytes));
	base64_encode(&text, BASE64_URL, bytes, sizeof(bytes));
	(void)memcpy(ret, buf_text(&text), LOGIN_SECRET_SIZE);
	secret_wipe(bytes, sizeof(bytes));
	secret_wipe(text.data, text.len);
	buf_free(&text);
	return ret;
}

void
login_put_authorize(struct buf *out, const char *sentry_url,
    const char *client_id, const char *redirect_uri, const char *scope,
    const char *state, const char *verifier)
{
	uint8_t digest[DIGEST_BYTES];
	struct buf challenge = BUF_INIT;

	digest_sha256(verifier, strlen(verifier), digest);
	base64_encode(&challenge, BASE64_URL, digest, sizeof(digest));
	buf_printf(out, "%s/oauth/authorize/?", sentry_url);
	form_put(out, "client_id", client_id);
	form_put(out, "response_type", "code");
	form_put(out, "redirect_uri", redirect_uri);
	form_put(out, "scope", scope);
	form_put(out, "state", state);
	form_put(out, "code_challenge", challenge.data);
	form_put(out, "code_challenge_method", "S256");
	buf_free(&challenge);
}

/* ---- what is answered -----------------------------------------------------
 */

/* A copy of a member that is text without a NUL, or NULL. */
static char *
copy(const struct jval *object, const char *name)
{
	struct str s = jdoc_get_str(object, name);

	if (s.len == 0 || memchr(s.data, '\0', s.len) != NULL)
		return NULL;
	return mem_strndup(s.data, s.len);
}

/* A member that is a number of seconds, if it is one that can be meant. */
static uint64_t
seconds(const struct jval *object, const char *name, uint64_t otherwise)
{
	const struct jval *v = jdoc_gets(object, name);

	if (v == NULL || !jval_is_number(v) || !(jval_double(v) > 0) ||
	    jval_double(v) > (double)LOGIN_MAX_S)
		return otherwise;
	/* Part of a second is a whole one. */
	return jval_double(v) < 1 ? 1 : (uint64_t)jval_double(v);
}

int
login_read_device(struct str body, struct login_device *ret, struct err *err)
{
	struct login_device device = {0};
	struct jdoc doc = {0};
	const struct jval *root;
	int rc = -1;

	if (jdoc_parse(&doc, body.data, body.len, NULL, NULL) == -1 ||
	    jval_kind(jdoc_root(&doc)) != JDOC_OBJECT) {
		(void)err_set(err, ERR_INVALID,
		    "the answer is not JSON: is that the address of Sentry?");
		goto out;
	}
	root = jdoc_root(&doc);
	device.device_code = copy(root, "device_code");
	device.user_code = copy(root, "user_code");
	device.uri = copy(root, "verification_uri");
	device.uri_complete = copy(root, "verification_uri_complete");
	device.expires_in_s = seconds(root, "expires_in", DEFAULT_EXPIRES_S);
	device.interval_s = seconds(root, "interval", LOGIN_INTERVAL_S);
	if (device.device_code == NULL || device.user_code == NULL ||
	    device.uri == NULL) {
		(void)err_set(err, ERR_INVALID, "the answer has no %s",
		    device.device_code == NULL ? "device_code"
		    : device.user_code == NULL ? "user_code"
					       : "verification_uri");
		goto out;
	}
	*ret = device;
	device = (struct login_device){0};
	rc = 0;

out:
	login_device_clear(&device);
	jdoc_free(&doc);
	return rc;
}

/* "Ada <ada@example.com>", or one of both. */
static char *
copy_who(const struct jval *user)
{
	char *name = copy(user, "name"), *email = copy(user, "email"), *who;

	if (name != NULL && email != NULL && strcmp(name, email) != 0) {
		who = mem_printf("%s <%s>", name, email);
		free(name);
		free(email);
		return who;
	}
	if (name == NULL)
		return email;
	free(email);
	return name;
}

static int
read_good(const struct jval *root, uint64_t now_unix_ms, struct login *ret,
    struct err *err)
{
	char *access = copy(root, "access_token"), *refresh, *who;
	uint64_t lives_s = seconds(root, "expires_in", 0);

	if (access == NULL)
		return err_set(
		    err, ERR_INVALID, "the answer has no access_token");
	wipe(ret->access);
	ret->access = access;
	/* Where none comes with a refresh, the old one goes on. */
	refresh = copy(root, "refresh_token");
	if (refresh != NULL) {
		wipe(ret->refresh);
		ret->refresh = refresh;
	}
	free(ret->scope);
	ret->scope = copy(root, "scope");
	/* A refresh may be silent about whose it is. */
	who = copy_who(jdoc_gets(root, "user"));
	if (who != NULL) {
		free(ret->who);
		ret->who = who;
	}
	ret->created_unix_ms = now_unix_ms;
	ret->expires_unix_ms = lives_s == 0 ? 0 : now_unix_ms + lives_s * 1000;
	return 0;
}

int
login_refusal(unsigned int status, struct str body, struct err *err)
{
	struct jdoc doc = {0};
	const char *name = "error";
	struct str said = {NULL, 0};

	if (jdoc_parse(&doc, body.data, body.len, NULL, NULL) == 0) {
		said = jdoc_get_str(jdoc_root(&doc), "error_description");
		if (said.data == NULL)
			said = jdoc_get_str(jdoc_root(&doc), name);
		if (said.data == NULL)
			said = jdoc_get_str(jdoc_root(&doc), "detail");
	}
	if (str_eq(said, STR("invalid_client")))
		(void)err_set(err, ERR_UNAUTH,
		    "Sentry does not know this client (invalid_client): set "
		    "SENTRY_CLIENT_ID to the client id of an OAuth "
		    "application without a secret");
	else
		(void)err_set(err,
		    status == 429 || status >= 500 ? ERR_UNAVAILABLE
						   : ERR_INVALID,
		    "Sentry answered %u%s%.*s", status,
		    said.len == 0 ? "" : ": ",
		    (int)(said.len > 200 ? 200 : said.len),
		    said.data == NULL ? "" : said.data);
	jdoc_free(&doc);
	return -1;
}

enum login_outcome
login_read_token(unsigned int status, struct str body, uint64_t now_unix_ms,
    struct login *ret, struct err *err)
{
	static const struct {
		const char *error;
		enum login_outcome outcome;
		const char *text;
	} known[] = {
	    {"authorization_pending", LOGIN_PENDING, "not confirmed yet"},
	    {"slow_down", LOGIN_SLOW_DOWN, "asked too often"},
	    {"access_denied", LOGIN_DENIED, "the request was denied"},
	    {"expired_token", LOGIN_EXPIRED,
		"the code has expired before it was confirmed"},
	    {"invalid_grant", LOGIN_INVALID,
		"Sentry does not take it any more (invalid_grant)"},
	};
	enum login_outcome outcome = LOGIN_REFUSED;
	struct jdoc doc = {0};
	struct str error;
	size_t i;

	if (status == 429 || status >= 500) {
		(void)login_refusal(status, body, err);
		return LOGIN_LATER;
	}
	if (jdoc_parse(&doc, body.data, body.len, NULL, NULL) == -1) {
		(void)err_set(err, ERR_INVALID,
		    "the answer (%u) is not JSON: is that the address of "
		    "Sentry?",
		    status);
		goto out;
	}
	if (status == 200) {
		if (read_good(jdoc_root(&doc), now_unix_ms, ret, err) == 0)
			outcome = LOGIN_GOOD;
		goto out;
	}
	error = jdoc_get_str(jdoc_root(&doc), "error");
	for (i = 0; i < NELEMS(known); i++) {
		if (!str_eq(error, str_of(known[i].error)))
			continue;
		outcome = known[i].outcome;
		(void)err_set(err, ERR_UNAUTH, "%s", known[i].text);
		goto out;
	}
	(void)login_refusal(status, body, err);

out:
	jdoc_free(&doc);
	return outcome;
}

int
login_is_over(const struct login *login, uint64_t now_unix_ms)
{
	return login->expires_unix_ms != 0 &&
	       now_unix_ms >= login->expires_unix_ms;
}

int
login_is_due(const struct login *login, uint64_t now_unix_ms)
{
	uint64_t early_ms =
	    (login->expires_unix_ms - login->created_unix_ms) / 10;

	if (login->expires_unix_ms == 0)
		return 0;
	if (early_ms > DUE_MS)
		early_ms = DUE_MS;
	return now_unix_ms + early_ms >= login->expires_unix_ms;
}
