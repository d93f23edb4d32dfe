#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#include "crypto/base64.h"
#include "crypto/secret.h"

#include "crypto/secrets.h"

#define REDACTED "[redacted]"

/* A part of a base64 text that is shorter may be anything. */
#define BASE64_MIN 8

/* One text that must not be printed. */
struct form {
	struct form *next;
	struct secret *text;
	unsigned int uses; /* Of how many values, and in how many forms. */
};

struct secrets {
	char *dir;             /* Ours; NULL if there is none. */
	pthread_rwlock_t lock; /* Guards forms. */
	struct form *forms;    /* The longest first, so that a secret which
				* holds another is replaced whole. */
	int forgetting;        /* add_form() takes away; under the lock. */
};

struct secrets *
secrets_create(const char *dir)
{
	struct secrets *secrets = mem_zalloc(sizeof(*secrets));

	secrets->dir = mem_strdup(dir);
	(void)pthread_rwlock_init(&secrets->lock, NULL);
	return secrets;
}

void
secrets_free(struct secrets *secrets)
{
	struct form *f, *next;

	if (secrets == NULL)
		return;
	for (f = secrets->forms; f != NULL; f = next) {
		next = f->next;
		secret_free(f->text);
		free(f);
	}
	(void)pthread_rwlock_destroy(&secrets->lock);
	free(secrets->dir);
	free(secrets);
}

static void
forget_form(struct form **at)
{
	struct form *f = *at;

	if (--f->uses > 0)
		return;
	*at = f->next;
	secret_free(f->text);
	free(f);
}

/* Keep one form, or forget it; the caller has the lock. */
static void
add_form(struct secrets *secrets, const char *text, size_t len)
{
	struct form **at, *f;

	for (at = &secrets->forms; *at != NULL; at = &(*at)->next) {
		if ((*at)->text->len < len)
			break;
		if ((*at)->text->len != len ||
		    memcmp((*at)->text->data, text, len) != 0)
			continue;
		if (secrets->forgetting)
			forget_form(at);
		else
			(*at)->uses++;
		return;
	}
	if (secrets->forgetting)
		return;
	f = mem_alloc(sizeof(*f));
	f->uses = 1;
	f->text = secret_create(text, len);
	f->next = *at;
	*at = f;
}

/*
 * The base64 forms of a value that is ${shift} bytes into what was encoded (as
 * the password in "user:password" is): the letters that depend on it alone.
 */
static void
add_base64(struct secrets *secrets, enum base64_kind kind, const char *value,
    size_t len, size_t shift)
{
	struct buf padded = BUF_INIT, text = BUF_INIT;
	size_t from, to;

	buf_put(&padded, "\0\0", shift);
	buf_put(&padded, value, len);
	base64_encode(&text, kind, padded.data, padded.len);
	from = (shift * 8 + 5) / 6;
	to = padded.len * 8 / 6;
	if (to > from && to - from >= BASE64_MIN)
		add_form(secrets, text.data + from, to - from);
	secret_wipe(padded.data, padded.len);
	secret_wipe(text.data, text.len);
	buf_free(&padded);
	buf_free(&text);
}

/* The value as a URL has it; ${digits} are those of %XX. */
static void
add_url(
    struct secrets *secrets, const char *value, size_t len, const char *digits)
{
	struct buf text = BUF_INIT;
	unsigned char c;
	size_t i;

	for (i = 0; i < len; i++) {
		c = (unsigned char)value[i];
		if (isalnum(c) || (c != '\0' && strchr("-._~", c) != NULL)) {
			buf_putc(&text, (char)c);
		} else {
			buf_putc(&text, '%');
			buf_putc(&text, digits[c >> 4]);
			buf_putc(&text, digits[c & 15]);
		}
	}
	add_form(secrets, text.data, text.len);
	secret_wipe(text.data, text.len);
	buf_free(&text);
}

/* Every form of a value. */
static void
change(struct secrets *secrets, const char *value, size_t len, int forgetting)
{
	struct buf json = BUF_INIT;
	size_t shift;

	if (len < SECRETS_REDACT_MIN)
		return;
	(void)pthread_rwlock_wrlock(&secrets->lock);
	secrets->forgetting = forgetting;
	add_form(secrets, value, len);
	str_put_json(&json, (struct str){value, len});
	add_form(secrets, json.data + 1, json.len - 2);
	add_url(secrets, value, len, "0123456789ABCDEF");
	add_url(secrets, value, len, "0123456789abcdef");
	for (shift = 0; shift < 3; shift++) {
		add_base64(secrets, BASE64_STANDARD, value, len, shift);
		add_base64(secrets, BASE64_URL, value, len, shift);
	}
	(void)pthread_rwlock_unlock(&secrets->lock);
	secret_wipe(json.data, json.len);
	buf_free(&json);
}

void
secrets_remember(struct secrets *secrets, const char *value, size_t len)
{
	change(secrets, value, len, 0);
}

void
secrets_forget(struct secrets *secrets, const char *value, size_t len)
{
	change(secrets, value, len, 1);
}

/* Replace one form wherever it is. */
static void
redact_form(struct buf *line, const struct secret *text)
{
	struct buf out = BUF_INIT;
	const char *at = line->data, *end = line->data + line->len, *hit;

	hit = memmem(at, (size_t)(end - at), text->data, text->len);
	if (hit == NULL)
		return;
	for (; hit != NULL;
	     hit = memmem(at, (size_t)(end - at), text->data, text->len)) {
		buf_put(&out, at, (size_t)(hit - at));
		buf_puts(&out, REDACTED);
		at = hit + text->len;
	}
	buf_put(&out, at, (size_t)(end - at));
	secret_wipe(line->data, line->len);
	buf_free(line);
	*line = out;
}

void
secrets_redact(void *cookie, struct buf *line)
{
	struct secrets *secrets = cookie;
	const struct form *f;

	if (secrets == NULL || line->len == 0)
		return;
	(void)pthread_rwlock_rdlock(&secrets->lock);
	for (f = secrets->forms; f != NULL; f = f->next)
		redact_form(line, f->text);
	(void)pthread_rwlock_unlock(&secrets->lock);
}

static int
is_known(struct secrets *secrets, const char *value, size_t len)
{
	const struct form *f;

	(void)pthread_rwlock_rdlock(&secrets->lock);
	for (f = secrets->forms; f != NULL; f = f->next)
		if (f->text->len == len &&
		    memcmp(f->text->data, value, len) == 0)
			break;
	(void)pthread_rwlock_unlock(&secrets->lock);
	return f != NULL;
}

static int
name_is_allowed(const char *name)
{
	const char *p;

	if (name[0] < 'A' || name[0] > 'Z')
		return 0;
	for (p = name; *p != '\0'; p++) {
		if (!(*p >= 'A' && *p <= 'Z') && !(*p >= '0' && *p <= '9') &&
		    *p != '_')
			return 0;
	}
	return strncmp(name, "MOONPOST_", 9) != 0 &&
	       strncmp(name, "SENTRY_CLIENT_", 14) != 0 &&
	       strstr(name, "__") == NULL;
}

/* An integration's name becomes part of a path. */
static int
integration_is_allowed(const char *name)
{
	const char *p;

	for (p = name; *p != '\0'; p++) {
		if (!isalnum((unsigned char)*p) && *p != '_' && *p != '-')
			return 0;
	}
	return p != name;
}

int
secrets_get(struct secrets *secrets, const char *integration, const char *name,
    struct secret **ret_secret, struct err *err)
{
	int own = integration != NULL && strcmp(integration, "default") != 0;
	char *variable = NULL, *path = NULL;
	struct buf content = BUF_INIT;
	struct err why = ERR_INIT;
	const char *value;
	int rc = -1;

	if (!name_is_allowed(name)) {
		(void)err_set(err, ERR_INVALID,
		    "\"%.64s\" cannot be a secret's name: [A-Z][A-Z0-9_]*, not "
		    "MOONPOST_*, not SENTRY_CLIENT_*, no double underscore",
		    name);
		goto out;
	}

	if (own && !integration_is_allowed(integration)) {
		(void)err_set(err, ERR_INVALID,
		    "\"%.64s\" cannot be an integration's name", integration);
		goto out;
	}

	/* The environment first. */
	variable =
	    own ? mem_printf("%s__%s", integration, name) : mem_strdup(name);
	value = getenv(variable);
	if (value != NULL) {
		buf_puts(&content, value);
		goto found;
	}

	/* Then the folder. */
	if (secrets->dir != NULL) {
		path = own ? mem_printf(
				 "%s/%s/%s", secrets->dir, integration, name)
			   : mem_printf("%s/%s", secrets->dir, name);
		if (file_read(path, SECRETS_MAX_BYTES, &content, &why) == 0) {
			if (content.len > 0 &&
			    content.data[content.len - 1] == '\n')
				content.data[--content.len] = '\0';
			goto found;
		}
		if (why.code != ERR_NOT_FOUND) {
			(void)err_set(
			    err, why.code, "secret %s: %s", name, why.msg);
			goto out;
		}
		(void)err_set(err, ERR_NOT_FOUND,
		    "secret %s is not set: put it into the environment as %s "
		    "or into the file %s",
		    name, variable, path);
	} else {
		(void)err_set(err, ERR_NOT_FOUND,
		    "secret %s is not set: put it into the environment as %s, "
		    "or name a folder with --secrets",
		    name, variable);
	}
	goto out;

found:
	if (!is_known(secrets, buf_text(&content), content.len))
		secrets_remember(secrets, buf_text(&content), content.len);
	*ret_secret = secret_create(buf_text(&content), content.len);
	rc = 0;
out:
	if (content.data != NULL)
		secret_wipe(content.data, content.cap);
	buf_free(&content);
	free(path);
	free(variable);
	return rc;
}
