#include <ctype.h>

#include "base/err.h"
#include "json/jwrite.h"

#include "cli/show_fixture.h"

/* Lua's parser takes 200 levels, some of which are the test's own. */
#define DEPTH_MAX 180

#define INDENT 4

static void
put_newline(struct buf *out, unsigned int depth)
{
	buf_printf(out, "\n%*s", (int)(INDENT + 2 * depth), "");
}

/* Text in quotes, as Lua reads it. */
static void
put_string(struct buf *out, struct str s)
{
	unsigned char c;
	size_t i;

	buf_putc(out, '"');
	for (i = 0; i < s.len; i++) {
		c = (unsigned char)s.data[i];
		if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", c);
		else if (c == '\n')
			buf_puts(out, "\\n");
		else if (c < ' ' || c == 0x7F)
			buf_printf(out, "\\%03u", c);
		else
			buf_putc(out, (char)c);
	}
	buf_putc(out, '"');
}

/* The rest of a comment: one line, whatever is in it. */
static void
put_remark(struct buf *out, struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		buf_putc(
		    out, (unsigned char)s.data[i] < ' ' || s.data[i] == 0x7F
			     ? ' '
			     : s.data[i]);
}

static int
is_name(struct str s)
{
	static const char *const words[] = {"and", "break", "do", "else",
	    "elseif", "end", "false", "for", "function", "goto", "if", "in",
	    "local", "nil", "not", "or", "repeat", "return", "then", "true",
	    "until", "while"};
	size_t i;

	if (s.len == 0 || isdigit((unsigned char)s.data[0]))
		return 0;
	for (i = 0; i < s.len; i++) {
		if (s.data[i] != '_' &&
		    (!isalnum((unsigned char)s.data[i]) || (s.data[i] & 0x80)))
			return 0;
	}
	for (i = 0; i < NELEMS(words); i++) {
		if (str_eq(s, str_of(words[i])))
			return 0;
	}
	return 1;
}

static int put_value(
    struct buf *out, const struct jval *v, unsigned int depth, struct err *err);

static int
put_object(
    struct buf *out, const struct jval *v, unsigned int depth, struct err *err)
{
	const struct jval *e;
	uint32_t i;

	buf_putc(out, '{');
	for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e + 1)) {
		put_newline(out, depth + 1);
		if (is_name(jval_str(e))) {
			buf_put(out, jval_str(e).data, jval_str(e).len);
		} else {
			buf_putc(out, '[');
			put_string(out, jval_str(e));
			buf_putc(out, ']');
		}
		buf_puts(out, " = ");
		if (put_value(out, e + 1, depth + 1, err) == -1)
			return -1;
		buf_putc(out, ',');
	}
	if (v->len > 0)
		put_newline(out, depth);
	buf_putc(out, '}');
	return 0;
}

static int
put_array(
    struct buf *out, const struct jval *v, unsigned int depth, struct err *err)
{
	const struct jval *e;
	uint32_t i;

	/* An empty table would be an object. */
	if (v->len == 0) {
		buf_puts(out, "json.array {}");
		return 0;
	}
	buf_putc(out, '{');
	for (e = v + 1, i = 0; i < v->len; i++, e = jval_next(e)) {
		buf_putc(out, ' ');
		if (put_value(out, e, depth, err) == -1)
			return -1;
		buf_puts(out, i + 1 < v->len ? "," : " ");
	}
	buf_putc(out, '}');
	return 0;
}

static int
put_value(
    struct buf *out, const struct jval *v, unsigned int depth, struct err *err)
{
	struct jwrite w;

	switch (jval_kind(v)) {
	case JDOC_NULL:
		buf_puts(out, "json.null");
		break;
	case JDOC_STRING:
		put_string(out, jval_str(v));
		break;
	case JDOC_OBJECT:
	case JDOC_ARRAY:
		if (depth > DEPTH_MAX)
			return err_set(err, ERR_TOO_LARGE,
			    "the payload is nested deeper than Lua reads");
		return jval_kind(v) == JDOC_OBJECT
			   ? put_object(out, v, depth + 1, err)
			   : put_array(out, v, depth + 1, err);
	case JDOC_INT:
		/* What -2^63 is made of does not fit. */
		if (v->v.i == INT64_MIN) {
			buf_puts(out, "math.mininteger");
			break;
		}
		/* FALLTHROUGH */
	case JDOC_FALSE:
	case JDOC_TRUE:
	case JDOC_UINT:
	case JDOC_REAL:
		w = jwrite_begin(out, 0);
		jwrite_jval(&w, v);
		break;
	}
	return 0;
}

/* ---- a test -----------------------------------------------------------------
 */

static const struct jval *
last_run(const struct jval *job)
{
	const struct jval *runs = jdoc_gets(job, "runs");

	if (runs == NULL || jval_kind(runs) != JDOC_ARRAY || runs->len == 0)
		return NULL;
	return jdoc_at(runs, runs->len - 1);
}

/* What went out then is expected again; what it was answered with is not kept,
 * but for the status. */
static void
put_calls(struct buf *out, const struct jval *run)
{
	const struct jval *calls = run == NULL ? NULL : jdoc_gets(run, "calls");
	const struct jval *call, *status;
	uint32_t i;

	if (calls == NULL || jval_kind(calls) != JDOC_ARRAY)
		return;
	for (call = calls + 1, i = 0; i < calls->len;
	     i++, call = jval_next(call)) {
		status = jdoc_gets(call, "status");
		buf_puts(out, "  t:http(");
		put_string(out, jdoc_get_str(call, "method"));
		buf_puts(out, ", ");
		put_string(out, jdoc_get_str(call, "url"));
		if (status != NULL && jval_kind(status) == JDOC_INT) {
			buf_printf(out, ", { status = %lld })",
			    (long long)status->v.i);
		} else {
			buf_puts(out, ", { status = 200 }) -- then: ");
			put_remark(out, jdoc_get_str(call, "error"));
		}
		buf_putc(out, '\n');
	}
}

static int
was_dropped(const struct jval *run)
{
	return run != NULL &&
	       str_eq(jdoc_get_str(run, "outcome"), STR("dropped"));
}

/* A script as part of a function's name. */
static void
put_as_name(struct buf *out, struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		buf_putc(out,
		    isalnum((unsigned char)s.data[i]) && (s.data[i] & 0x80) == 0
			? s.data[i]
			: '_');
}

static void
put_test(struct buf *out, const struct jval *d, struct str script,
    const struct jval *job)
{
	const struct jval *run = job == NULL ? NULL : last_run(job);
	struct str action = jdoc_get_str(d, "action"), error;
	struct buf event = BUF_INIT;

	buf_puts(out, "\nfunction test_delivery_");
	put_as_name(out, jdoc_get_str(d, "id"));
	buf_putc(out, '_');
	put_as_name(out, script);
	buf_puts(out, "()\n  local t = testing.load ");
	put_string(out, script);
	buf_putc(out, '\n');
	put_calls(out, run);
	buf_puts(out, "  local run = t:deliver(");
	buf_put(&event, jdoc_get_str(d, "resource").data,
	    jdoc_get_str(d, "resource").len);
	if (action.len > 0) {
		buf_putc(&event, '.');
		buf_put(&event, action.data, action.len);
	}
	put_string(out, (struct str){buf_text(&event), event.len});
	buf_free(&event);
	buf_puts(out, ", payload)\n  testing.equal(run.outcome, \"");
	buf_puts(out, was_dropped(run) ? "dropped" : "done");
	buf_puts(out, "\")");
	error =
	    run == NULL ? (struct str){NULL, 0} : jdoc_get_str(run, "error");
	if (error.len > 0) {
		buf_puts(out, " -- then: ");
		put_remark(out, error);
	}
	buf_puts(out, "\nend\n");
}

int
show_fixture(const struct jval *d, struct buf *out, struct err *err)
{
	const struct jval *payload = jdoc_gets(d, "payload");
	const struct jval *jobs = jdoc_gets(d, "jobs"), *job;
	uint32_t i;

	if (payload == NULL || jval_kind(payload) != JDOC_OBJECT)
		return err_set(err, ERR_INVALID,
		    "the delivery has no payload that could be delivered "
		    "again");
	buf_puts(out, "-- Delivery ");
	put_remark(out, jdoc_get_str(d, "id"));
	buf_puts(out, ", received at ");
	put_remark(out, jdoc_get_str(d, "received_at"));
	buf_puts(out,
	    ".  What was secret in it is redacted: give scripts\n"
	    "-- that ask for secrets some by t:secret(name, value).\n\n"
	    "local testing = require \"testing\"\n\nlocal payload = ");
	if (put_value(out, payload, 0, err) == -1)
		return -1;
	buf_putc(out, '\n');
	if (jobs == NULL || jval_kind(jobs) != JDOC_ARRAY || jobs->len == 0) {
		buf_puts(out,
		    "\n-- No script has got it: name the one to be tested.");
		put_test(out, d, STR("my_script"), NULL);
		return 0;
	}
	for (job = jobs + 1, i = 0; i < jobs->len; i++, job = jval_next(job))
		put_test(out, d, jdoc_get_str(job, "script"), job);
	return 0;
}
