#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "crypto/random.h"
#include "crypto/signature.h"
#include "json/jdoc.h"
#include "json/jpath.h"

#include "catalog/catalog.h"
#include "config/config.h"

#include "cli/send_request.h"

/* Linux takes 128 KiB for one argument of a command; a pipe has no limit. */
#define MAX_ARGUMENT 100000

/* Apply "data.issue.level=fatal" to ${body}. */
static int
apply_set(struct buf *body, const char *set, struct err *err)
{
	const char *equals = strchr(set, '=');
	struct jdoc doc = {0}, value = {0};
	struct buf out = BUF_INIT, json = BUF_INIT;
	size_t offset;
	int rc = -1;

	if (equals == NULL || equals == set) {
		(void)err_set(err, ERR_INVALID,
		    "--set: '%.80s' is not PATH=VALUE (example: "
		    "data.issue.level=fatal)",
		    set);
		goto out;
	}
	if (jdoc_parse(&doc, buf_text(body), body->len, &offset, err) == -1) {
		(void)err_prefix(
		    err, "--set needs a body that is JSON: byte %zu", offset);
		goto out;
	}

	/* What is not JSON is meant as text. */
	if (jdoc_parse(&value, equals + 1, strlen(equals + 1), NULL, NULL) == 0)
		buf_puts(&json, equals + 1);
	else
		str_put_json(&json, str_of(equals + 1));
	if (jpath_set(jdoc_root(&doc),
		(struct str){set, (size_t)(equals - set)},
		(struct str){json.data, json.len}, &out, err) == -1) {
		(void)err_prefix(err, "--set %.80s", set);
		goto out;
	}
	buf_free(body);
	*body = out;
	out = (struct buf)BUF_INIT;
	rc = 0;

out:
	jdoc_free(&doc);
	jdoc_free(&value);
	buf_free(&json);
	buf_free(&out);
	return rc;
}

int
send_body(const struct config *config, const struct catalog *catalog,
    const char *event, const struct buf *file, struct buf *out, struct err *err)
{
	size_t i;

	if (file != NULL)
		buf_put(out, buf_text(file), file->len);
	else if (catalog_sample(catalog, event, out, err) == -1)
		return -1;
	for (i = 0; i < config->set.n; i++) {
		if (apply_set(out, config->set.items[i], err) == -1)
			return -1;
	}
	return 0;
}

void
send_request_fill(struct send_request *request, const char *resource,
    const struct signature_key *key)
{
	char signature[SIGNATURE_HEX + 1];
	char **header = request->headers;

	random_hex(request->request_id, 16);
	random_hex(request->idempotency_key, 16);
	signature_sign(
	    key, buf_text(&request->body), request->body.len, signature);
	*header++ = mem_strdup("Accept: */*");
	*header++ = mem_strdup("Content-Type: application/json");
	*header++ = mem_printf("Request-ID: %s", request->request_id);
	*header++ = mem_printf("Sentry-Hook-Resource: %s", resource);
	*header++ = mem_printf("Sentry-Hook-Timestamp: %llu",
	    (unsigned long long)(clock_unix_ms() / 1000));
	*header++ = mem_printf("Sentry-Hook-Signature: %s", signature);
	*header++ = mem_printf("Idempotency-Key: %s", request->idempotency_key);
	*header++ = mem_strdup("User-Agent: sentry/moonpost-" MOONPOST_VERSION
			       " (https://sentry.io)");
}

void
send_request_clear(struct send_request *request)
{
	size_t i;

	for (i = 0; i < SEND_HEADERS; i++)
		free(request->headers[i]);
	buf_free(&request->body);
	*request = (struct send_request){.body = BUF_INIT};
}

/* Append text in single quotes, in which a shell changes nothing. */
static void
put_quoted(struct buf *out, const char *text, size_t len)
{
	size_t i;

	buf_putc(out, '\'');
	for (i = 0; i < len; i++) {
		if (text[i] == '\'')
			buf_puts(out, "'\\''");
		else
			buf_putc(out, text[i]);
	}
	buf_putc(out, '\'');
}

/* A printf that writes the body: NUL can be in no argument. */
static void
put_printf(struct buf *out, const struct buf *body)
{
	struct buf escaped = BUF_INIT;
	size_t i;

	for (i = 0; i < body->len; i++) {
		if (body->data[i] == '\0')
			buf_puts(&escaped, "\\0000");
		else if (body->data[i] == '\\')
			buf_puts(&escaped, "\\\\");
		else
			buf_putc(&escaped, body->data[i]);
	}
	buf_puts(out, "printf %b ");
	put_quoted(out, buf_text(&escaped), escaped.len);
	buf_puts(out, " | ");
	buf_free(&escaped);
}

void
send_put_curl(
    const struct send_request *request, const char *url, struct buf *out)
{
	const struct buf *body = &request->body;
	int piped = body->len > MAX_ARGUMENT ||
		    memchr(buf_text(body), '\0', body->len) != NULL;
	size_t i;

	if (piped)
		put_printf(out, body);
	buf_puts(out, "curl -sS -X POST ");
	put_quoted(out, url, strlen(url));
	for (i = 0; i < SEND_HEADERS; i++) {
		buf_puts(out, " \\\n  -H ");
		put_quoted(
		    out, request->headers[i], strlen(request->headers[i]));
	}
	/* Not --data-binary: it takes a leading @ for the name of a file. */
	if (piped) {
		buf_puts(out, " \\\n  --data-binary @-\n");
	} else {
		buf_puts(out, " \\\n  --data-raw ");
		put_quoted(out, buf_text(body), body->len);
		buf_putc(out, '\n');
	}
}
