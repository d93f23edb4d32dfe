#include <string.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/form.h"
#include "crypto/digest.h"
#include "json/jdoc.h"
#include "json/jwrite.h"

#include "sim/mask.h"

#define SHOWN_BYTES 4

static const char *const secret_names[] = {
    "access_token",
    "assertion",
    "client_secret",
    "code",
    "code_verifier",
    "device_code",
    "id_token",
    "refreshToken",
    "refresh_token",
    "token",
};

void
mask_put(struct buf *out, struct str secret)
{
	uint8_t digest[DIGEST_BYTES];

	digest_sha256(secret.data, secret.len, digest);
	buf_puts(out, "sha256:");
	str_put_hex(out, digest, SHOWN_BYTES);
}

int
mask_is_secret(struct str name)
{
	size_t i;

	for (i = 0; i < NELEMS(secret_names); i++) {
		if (str_eq(name, str_of(secret_names[i])))
			return 1;
	}
	return 0;
}

static void
write_masked(struct jwrite *w, struct str secret)
{
	struct buf text = BUF_INIT;

	if (secret.len > 0)
		mask_put(&text, secret);
	jwrite_text(w, buf_text(&text));
	buf_free(&text);
}

static void
mask_jval(struct jwrite *w, const struct jval *v)
{
	const struct jval *e;
	size_t i;

	if (jval_kind(v) == JDOC_ARRAY) {
		jwrite_array(w);
		for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e))
			mask_jval(w, e);
		jwrite_array_end(w);
	} else if (jval_kind(v) == JDOC_OBJECT) {
		jwrite_object(w);
		for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e + 1)) {
			jwrite_keyn(w, jval_str(e));
			if (jval_kind(e + 1) == JDOC_STRING &&
			    mask_is_secret(jval_str(e)))
				write_masked(w, jval_str(e + 1));
			else
				mask_jval(w, e + 1);
		}
		jwrite_object_end(w);
	} else {
		jwrite_jval(w, v);
	}
}

void
mask_json(struct jwrite *w, struct str text)
{
	struct jdoc doc = {0};

	if (text.len == 0)
		jwrite_null(w);
	else if (jdoc_parse(&doc, text.data, text.len, NULL, NULL) == 0)
		mask_jval(w, jdoc_root(&doc));
	else
		jwrite_str(w, text);
	jdoc_free(&doc);
}

void
mask_form(struct jwrite *w, struct str form)
{
	struct buf name = BUF_INIT, value = BUF_INIT;

	jwrite_object(w);
	while (form_next(&form, &name, &value) == 1) {
		struct str key = {buf_text(&name), name.len};
		struct str text = {buf_text(&value), value.len};

		jwrite_keyn(w, key);
		if (mask_is_secret(key))
			write_masked(w, text);
		else
			jwrite_str(w, text);
	}
	jwrite_object_end(w);
	buf_free(&name);
	buf_free(&value);
}

void
mask_header(struct jwrite *w, struct str name, struct str value)
{
	struct buf text = BUF_INIT;
	const char *blank;

	jwrite_keyn(w, name);
	if (!str_eq_nocase(name, STR("Authorization")) &&
	    !str_eq_nocase(name, STR("Cookie"))) {
		jwrite_str(w, value);
		return;
	}
	blank = memchr(value.data, ' ', value.len);
	if (blank != NULL) {
		buf_put(&text, value.data, (size_t)(blank - value.data) + 1);
		value.len -= (size_t)(blank - value.data) + 1;
		value.data = blank + 1;
	}
	mask_put(&text, value);
	jwrite_str(w, (struct str){text.data, text.len});
	buf_free(&text);
}
