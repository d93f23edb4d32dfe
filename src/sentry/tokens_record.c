#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/digest.h"
#include "json/jdoc.h"
#include "json/jwrite.h"

#include "sentry/tokens_internal.h"

/* Enough to know a code again, too little to find it. */
#define HASH_BYTES 8

void
tokens_record_clear(struct tokens_record *r)
{
	grant_clear(&r->grant);
	grant_installation_clear(&r->about);
	free(r->code_spent);
	*r = (struct tokens_record){0};
}

static void
put(struct jwrite *w, const char *key, const char *text)
{
	if (text != NULL)
		jwrite_member_text(w, key, text);
}

void
tokens_record_put(const struct tokens_record *r, struct buf *out)
{
	struct jwrite w = jwrite_begin(out, 0);

	jwrite_object(&w);
	put(&w, "token", r->grant.token);
	put(&w, "refresh", r->grant.refresh);
	jwrite_key(&w, "expires");
	jwrite_uint(&w, r->grant.expires_unix_ms);
	jwrite_key(&w, "serial");
	jwrite_uint(&w, r->serial);
	jwrite_key(&w, "issued");
	jwrite_uint(&w, r->issued_unix_ms);
	put(&w, "code_spent", r->code_spent);
	jwrite_key(&w, "verified");
	jwrite_bool(&w, r->verified);
	put(&w, "app", r->about.app_slug);
	put(&w, "app_uuid", r->about.app_uuid);
	put(&w, "org", r->about.org_slug);
	put(&w, "status", r->about.status);
	jwrite_object_end(&w);
}

static char *
get(const struct jval *object, const char *key)
{
	struct str s = jdoc_get_str(object, key);

	return s.len == 0 ? NULL : mem_strndup(s.data, s.len);
}

static uint64_t
get_number(const struct jval *object, const char *key)
{
	const struct jval *v = jdoc_gets(object, key);

	return v != NULL && jval_kind(v) == JDOC_INT && v->v.i > 0
		   ? (uint64_t)v->v.i
		   : 0;
}

int
tokens_record_read(struct str json, struct tokens_record *ret)
{
	struct jdoc doc = {0};
	const struct jval *root, *verified;

	if (json.data == NULL ||
	    jdoc_parse(&doc, json.data, json.len, NULL, NULL) == -1) {
		jdoc_free(&doc);
		return -1;
	}
	root = jdoc_root(&doc);
	verified = jdoc_gets(root, "verified");
	*ret = (struct tokens_record){
	    .grant = {.token = get(root, "token"),
		.refresh = get(root, "refresh"),
		.expires_unix_ms = get_number(root, "expires")},
	    .serial = get_number(root, "serial"),
	    .issued_unix_ms = get_number(root, "issued"),
	    .code_spent = get(root, "code_spent"),
	    .verified = verified != NULL && jval_kind(verified) == JDOC_TRUE,
	    .about = {.app_slug = get(root, "app"),
		.app_uuid = get(root, "app_uuid"),
		.org_slug = get(root, "org"),
		.status = get(root, "status")},
	};
	jdoc_free(&doc);
	return 0;
}

char *
tokens_code_hash(const char *code)
{
	uint8_t digest[DIGEST_BYTES];
	struct buf hex = BUF_INIT;

	digest_sha256(code, strlen(code), digest);
	str_put_hex(&hex, digest, HASH_BYTES);
	return buf_take(&hex);
}
