#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "json/jdoc.h"

#include "console/redact.h"

#define REDACTED "[redacted]"

/* Deeper containers have no name that matters. */
#define NAMED_DEPTH 16

/* A shorter code would be found in every other word. */
#define CODE_MIN 6

struct walk {
	const char *at, *end;
	unsigned int depth;
	struct str names[NAMED_DEPTH]; /* Of the open containers, without
					* quotes, as in the text. */
	struct str name;               /* Of the value to come. */

	struct str code; /* Of an installation, without quotes; empty: none. */
	void (*redact)(void *cookie, struct buf *text); /* NULL: no need. */
	void *cookie;
	struct buf *out; /* NULL: only look for the code. */
	struct buf token;
};

/* Whether a name, which may have escapes in it, is ${wanted}. */
static int
is_name(struct str name, struct str wanted)
{
	struct jdoc doc = {0};
	int same = 0;

	if (name.len == 0 || memchr(name.data, '\\', name.len) == NULL)
		return str_eq(name, wanted);
	if (jdoc_parse(&doc, name.data - 1, name.len + 2, NULL, NULL) == 0)
		same = str_eq(jval_str(jdoc_root(&doc)), wanted);
	jdoc_free(&doc);
	return same;
}

static int
is_secret_header(struct str name)
{
	static const char *const parts[] = {"authorization", "cookie",
	    "signature", "token", "secret", "passw", "api-key", "apikey"};
	char text[256];
	size_t i;

	/* No header that matters is that long. */
	if (name.len >= sizeof(text))
		return 1;
	for (i = 0; i < name.len; i++)
		text[i] = (char)tolower((unsigned char)name.data[i]);
	text[i] = '\0';
	if (strncmp(text, "x-", 2) == 0)
		return 1;
	for (i = 0; i < NELEMS(parts); i++) {
		if (strstr(text, parts[i]) != NULL)
			return 1;
	}
	return 0;
}

/* Where we are says that nobody should read it. */
static int
is_hidden(const struct walk *w)
{
	return w->depth == 2 && is_name(w->names[2], STR("headers")) &&
	       is_secret_header(w->name);
}

static int
is_code(const struct walk *w)
{
	return w->depth > 2 && w->depth < NAMED_DEPTH &&
	       is_name(w->names[2], STR("payload")) &&
	       is_name(w->names[w->depth], STR("installation")) &&
	       is_name(w->name, STR("code"));
}

/* Replace ${what} in ${text}. */
static void
replace(struct buf *text, struct str what)
{
	struct buf out = BUF_INIT;
	const char *at = text->data, *end = text->data + text->len, *hit;

	while ((hit = memmem(at, (size_t)(end - at), what.data, what.len)) !=
	       NULL) {
		buf_put(&out, at, (size_t)(hit - at));
		buf_puts(&out, REDACTED);
		at = hit + what.len;
	}
	buf_put(&out, at, (size_t)(end - at));
	buf_free(text);
	*text = out;
}

/* Copy a text (with its quotes) or a number, without what is secret in it. */
static void
put_token(struct walk *w, struct str token)
{
	int is_text = token.data[0] == '"';

	if (w->out == NULL)
		return;
	if ((w->redact == NULL && w->code.len == 0) ||
	    (!is_text && strchr("tfn", token.data[0]) != NULL)) {
		buf_put(w->out, token.data, token.len);
		return;
	}
	buf_reset(&w->token);
	buf_put(&w->token, token.data, token.len);
	if (w->redact != NULL)
		w->redact(w->cookie, &w->token);
	if (w->code.len > 0 && memmem(w->token.data, w->token.len, w->code.data,
				   w->code.len) != NULL)
		replace(&w->token, w->code);
	if (!is_text && (w->token.len != token.len ||
			    memcmp(w->token.data, token.data, token.len) != 0))
		buf_puts(w->out, "\"" REDACTED "\"");
	else
		buf_put(w->out, w->token.data, w->token.len);
}

static void
put_value(struct walk *w, struct str token)
{
	if (is_code(w) && strchr("tfn", token.data[0]) == NULL) {
		if (w->out != NULL)
			buf_puts(w->out, "\"" REDACTED "\"");
		else if (token.data[0] == '"' && token.len >= CODE_MIN + 2)
			w->code = (struct str){token.data + 1, token.len - 2};
	} else if (is_hidden(w) && w->out != NULL) {
		buf_puts(w->out, "\"" REDACTED "\"");
	} else {
		put_token(w, token);
	}
}

/* The text or number at w->at. */
static struct str
take_token(struct walk *w)
{
	const char *start = w->at;

	if (*w->at == '"') {
		for (w->at++; w->at < w->end && *w->at != '"'; w->at++) {
			if (*w->at == '\\')
				w->at++;
		}
		w->at++;
	} else {
		while (w->at < w->end && strchr(",]}: \t\r\n", *w->at) == NULL)
			w->at++;
	}
	if (w->at > w->end)
		w->at = w->end;
	return (struct str){start, (size_t)(w->at - start)};
}

static void
walk(struct walk *w)
{
	const struct str none = {"", 0};
	const char *next;
	struct str token;

	w->name = none;
	w->depth = 0;
	while (w->at < w->end) {
		switch (*w->at) {
		case '{':
		case '[':
			if (++w->depth < NAMED_DEPTH)
				w->names[w->depth] = w->name;
			w->name = none;
			break;
		case '}':
		case ']':
			w->depth--;
			w->name = none;
			break;
		case ',':
		case ':':
		case ' ':
		case '\t':
		case '\r':
		case '\n':
			break;
		default:
			token = take_token(w);
			for (next = w->at;
			     next < w->end && strchr(" \t\r\n", *next) != NULL;
			     next++)
				continue;
			if (next < w->end && *next == ':') {
				w->name =
				    (struct str){token.data + 1, token.len - 2};
				put_token(w, token);
			} else {
				put_value(w, token);
			}
			continue;
		}
		if (w->out != NULL)
			buf_putc(w->out, *w->at);
		w->at++;
	}
}

void
redact_json(struct str json, void (*redact)(void *cookie, struct buf *text),
    void *cookie, struct buf *out)
{
	struct walk look = {.at = json.data, .end = json.data + json.len};
	struct walk w = look;
	struct buf all = BUF_INIT;

	/* Most have no secret in them, which is found out all at once. */
	if (redact != NULL && json.len > 0) {
		buf_put(&all, json.data, json.len);
		redact(cookie, &all);
		if (all.len == json.len &&
		    memcmp(all.data, json.data, json.len) == 0)
			redact = NULL;
	}
	walk(&look);
	w.code = look.code;
	w.redact = redact;
	w.cookie = cookie;
	w.out = out;
	walk(&w);
	buf_free(&all);
	buf_free(&w.token);
}
