#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "crypto/jwt.h"
#include "crypto/secret.h"
#include "json/jdoc.h"
#include "json/jwrite.h"

#include "sentry/grant.h"

/* Of what Sentry says, in a message. */
#define DETAIL_MAX 200

static void
wipe(char *s)
{
	if (s != NULL)
		secret_wipe(s, strlen(s));
	free(s);
}

void
grant_clear(struct grant *grant)
{
	wipe(grant->token);
	wipe(grant->refresh);
	*grant = (struct grant){0};
}

void
grant_installation_clear(struct grant_installation *in)
{
	free(in->app_slug);
	free(in->app_uuid);
	free(in->org_slug);
	free(in->status);
	*in = (struct grant_installation){0};
}

int
grant_is_uuid(struct str s)
{
	size_t i;

	if (s.len != GRANT_UUID_SIZE - 1)
		return 0;
	for (i = 0; i < s.len; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (s.data[i] != '-')
				return 0;
		} else if (!isxdigit((unsigned char)s.data[i])) {
			return 0;
		}
	}
	return 1;
}

int
grant_is_slug(struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if (!(s.data[i] >= 'a' && s.data[i] <= 'z') &&
		    !(s.data[i] >= '0' && s.data[i] <= '9') && s.data[i] != '-')
			return 0;
	return s.len > 0 && s.len <= 100;
}

void
grant_put_url(
    struct buf *out, const char *sentry_url, const char *uuid, int authorize)
{
	buf_printf(out, "%s/api/0/sentry-app-installations/%s/%s", sentry_url,
	    uuid, authorize ? "authorizations/" : "");
}

void
grant_put_code(struct buf *out, const char *code, const char *client_id,
    const char *client_secret)
{
	struct jwrite w = jwrite_begin(out, 0);

	jwrite_object(&w);
	jwrite_member_text(&w, "grant_type", "authorization_code");
	jwrite_member_text(&w, "code", code);
	jwrite_member_text(&w, "client_id", client_id);
	jwrite_member_text(&w, "client_secret", client_secret);
	jwrite_object_end(&w);
}

void
grant_put_refresh(struct buf *out, const char *refresh, const char *client_id,
    const char *client_secret)
{
	struct jwrite w = jwrite_begin(out, 0);

	jwrite_object(&w);
	jwrite_member_text(&w, "grant_type", "refresh_token");
	jwrite_member_text(&w, "refresh_token", refresh);
	jwrite_member_text(&w, "client_id", client_id);
	jwrite_member_text(&w, "client_secret", client_secret);
	jwrite_object_end(&w);
}

void
grant_put_jwt_body(struct buf *out)
{
	struct jwrite w = jwrite_begin(out, 0);

	jwrite_object(&w);
	jwrite_member_text(
	    &w, "grant_type", "urn:sentry:params:oauth:grant-type:jwt-bearer");
	jwrite_object_end(&w);
}

void
grant_put_jwt(struct buf *out, const char *client_id, const char *client_secret,
    uint64_t now_unix_ms, const char *jti)
{
	int64_t now_s = (int64_t)(now_unix_ms / 1000);
	struct buf claims = BUF_INIT;
	struct jwrite w = jwrite_begin(&claims, 0);

	jwrite_object(&w);
	jwrite_member_text(&w, "iss", client_id);
	jwrite_member_text(&w, "sub", client_id);
	jwrite_member_int(&w, "iat", now_s);
	jwrite_member_int(&w, "exp", now_s + GRANT_JWT_SECONDS);
	jwrite_member_text(&w, "jti", jti);
	jwrite_object_end(&w);
	jwt_hs256(out, (struct str){claims.data, claims.len}, client_secret,
	    strlen(client_secret));
	buf_free(&claims);
}

/* The text of a member that can be one; NULL if it is not there, or empty. */
static char *
text_of(const struct jval *object, const char *key)
{
	struct str s = jdoc_get_str(object, key);

	if (s.len == 0 || memchr(s.data, '\0', s.len) != NULL)
		return NULL;
	return mem_strndup(s.data, s.len);
}

/* A token goes into a header: visible ASCII alone. */
static int
is_token(const char *s)
{
	for (; *s > ' ' && *s < 0x7f; s++)
		;
	return *s == '\0';
}

int
grant_read(
    struct str body, uint64_t now_unix_ms, struct grant *ret, struct err *err)
{
	struct jdoc doc = {0};
	struct grant grant = {0};
	struct str expires, created;
	uint64_t created_unix_ms;
	int rc = -1;

	if (jdoc_parse(&doc, body.data == NULL ? "" : body.data, body.len, NULL,
		NULL) == -1) {
		(void)err_set(err, ERR_INVALID, "the answer is not JSON");
		goto out;
	}
	grant.token = text_of(jdoc_root(&doc), "token");
	if (grant.token == NULL || !is_token(grant.token)) {
		(void)err_set(
		    err, ERR_INVALID, "the answer has no token in it");
		goto out;
	}
	grant.refresh = text_of(jdoc_root(&doc), "refreshToken");
	expires = jdoc_get_str(jdoc_root(&doc), "expiresAt");
	created = jdoc_get_str(jdoc_root(&doc), "dateCreated");
	if (expires.len > 0 && clock_parse_rfc3339(expires.data, expires.len,
				   &grant.expires_unix_ms) == -1)
		/* Sentry's own is 8 hours; what is shorter does no harm. */
		grant.expires_unix_ms = now_unix_ms + 3600000;
	/* How long is what counts: its clock may not be ours. */
	else if (created.len > 0 &&
		 clock_parse_rfc3339(
		     created.data, created.len, &created_unix_ms) == 0 &&
		 created_unix_ms < grant.expires_unix_ms)
		grant.expires_unix_ms =
		    now_unix_ms + (grant.expires_unix_ms - created_unix_ms);
	*ret = grant;
	grant = (struct grant){0};
	rc = 0;
out:
	grant_clear(&grant);
	jdoc_free(&doc);
	return rc;
}

int
grant_read_installation(
    struct str body, struct grant_installation *ret, struct err *err)
{
	struct jdoc doc = {0};
	const struct jval *root;

	if (jdoc_parse(&doc, body.data == NULL ? "" : body.data, body.len, NULL,
		NULL) == -1) {
		jdoc_free(&doc);
		return err_set(err, ERR_INVALID, "the answer is not JSON");
	}
	root = jdoc_root(&doc);
	*ret = (struct grant_installation){
	    .app_slug = text_of(jdoc_gets(root, "app"), "slug"),
	    .app_uuid = text_of(jdoc_gets(root, "app"), "uuid"),
	    .org_slug = text_of(jdoc_gets(root, "organization"), "slug"),
	    .status = text_of(root, "status"),
	};
	jdoc_free(&doc);
	return 0;
}

static enum err_code
code_of(unsigned int status)
{
	switch (status) {
	case 401:
	case 403:
		return ERR_UNAUTH;
	case 404:
	case 410:
		return ERR_NOT_FOUND;
	case 408:
	case 429:
		return ERR_UNAVAILABLE;
	default:
		return status >= 500 ? ERR_UNAVAILABLE : ERR_INVALID;
	}
}

int
grant_refusal(
    const char *what, unsigned int status, struct str body, struct err *err)
{
	struct buf visible = BUF_INIT;
	struct jdoc doc = {0};
	struct str detail = {NULL, 0};

	if (body.len > 0 &&
	    jdoc_parse(&doc, body.data, body.len, NULL, NULL) == 0)
		detail = jdoc_get_str(jdoc_root(&doc), "detail");
	if (detail.len > DETAIL_MAX)
		detail.len = DETAIL_MAX;
	str_put_visible(&visible, detail);
	(void)err_set(err, code_of(status), "%s: Sentry answered %u%s%s", what,
	    status, visible.len > 0 ? ": " : "", buf_text(&visible));
	buf_free(&visible);
	jdoc_free(&doc);
	return -1;
}
