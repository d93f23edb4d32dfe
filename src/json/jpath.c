#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"

#include "json/jdoc.h"
#include "json/jwrite.h"

#include "json/jpath.h"

/* How much of a path is shown in a message. */
#define SHOWN 80

#define SHOW(s) (int)((s).len > SHOWN ? SHOWN : (s).len), (s).data

/* An index as RFC 6901 has it: digits, and no zero before others. */
static int
parse_index(struct str s, size_t *ret)
{
	uint64_t v;

	if (s.len > 1 && s.data[0] == '0')
		return -1;
	if (str_parse_u64(s, UINT32_MAX, &v) == -1)
		return -1;
	*ret = (size_t)v;
	return 0;
}

/* What stands before the next ${sep}, which is taken away with it. */
static struct str
next_part(struct str *rest, char sep)
{
	const char *hit = memchr(rest->data, sep, rest->len);
	struct str part = *rest;

	if (hit != NULL)
		part.len = (size_t)(hit - rest->data);
	rest->data += part.len;
	rest->len -= part.len;
	if (hit != NULL) {
		rest->data++;
		rest->len--;
	}
	return part;
}

/* Replace ~1 and ~0 of ${part}; -1 if there is another. */
static int
unescape(struct str part, struct buf *out)
{
	size_t i;
	char c;

	buf_reset(out);
	for (i = 0; i < part.len; i++) {
		c = part.data[i];
		if (c == '~') {
			if (++i == part.len ||
			    (part.data[i] != '0' && part.data[i] != '1'))
				return -1;
			c = part.data[i] == '0' ? '~' : '/';
		}
		buf_putc(out, c);
	}
	return 0;
}

/* What is below ${at} under ${part}, which is not escaped any more. */
static const struct jval *
step(const struct jval *at, struct str part)
{
	size_t index;

	if (at == NULL || jval_kind(at) != JDOC_ARRAY)
		return jdoc_get(at, part);
	return parse_index(part, &index) == -1 ? NULL : jdoc_at(at, index);
}

const struct jval *
jpath_get(const struct jval *root, struct str pointer, struct err *err)
{
	const struct jval *at = root, *found = NULL;
	struct str rest = pointer, part;
	struct buf key = BUF_INIT;
	size_t here;

	if (pointer.len == 0)
		return root;
	if (pointer.data[0] != '/') {
		(void)err_set(err, ERR_INVALID,
		    "'%.*s' is not a JSON Pointer: it begins with a slash",
		    SHOW(pointer));
		goto out;
	}
	rest.data++;
	rest.len--;

	/* All parts are looked at: a pointer is valid or not by itself. */
	do {
		here = (size_t)(rest.data - pointer.data);
		part = next_part(&rest, '/');
		if (unescape(part, &key) == -1) {
			(void)err_set(err, ERR_INVALID,
			    "'%.*s' is not a JSON Pointer: ~ stands before 0 "
			    "or 1 only",
			    SHOW(pointer));
			goto out;
		}
		if (at != NULL && (at = step(at, (struct str){buf_text(&key),
						     key.len})) == NULL)
			(void)err_set(err, ERR_NOT_FOUND,
			    "there is no '%.*s' at '%.*s'", SHOW(part),
			    SHOW(((struct str){pointer.data, here - 1})));
	} while (part.data + part.len < pointer.data + pointer.len);
	found = at;

out:
	buf_free(&key);
	return found;
}

void
jpath_put_key(struct buf *pointer, struct str key)
{
	size_t i;

	buf_putc(pointer, '/');
	for (i = 0; i < key.len; i++) {
		if (key.data[i] == '~')
			buf_puts(pointer, "~0");
		else if (key.data[i] == '/')
			buf_puts(pointer, "~1");
		else
			buf_putc(pointer, key.data[i]);
	}
}

void
jpath_put_index(struct buf *pointer, size_t index)
{
	buf_printf(pointer, "/%zu", index);
}

/* One run of jpath_set(). */
struct setter {
	struct str path; /* Whole, for messages. */
	struct str json;
	struct jwrite *w;
	struct err *err;
};

static int set_below(struct setter *set, const struct jval *at, struct str rest,
    unsigned int depth);

/* ${at} is an array: the element named by ${part} is another one. */
static int
set_element(struct setter *set, const struct jval *at, struct str part,
    struct str rest, unsigned int depth)
{
	const struct jval *e;
	size_t index, i;

	if (parse_index(part, &index) == -1 || index > at->len)
		return err_set(set->err, ERR_INVALID,
		    "'%.*s' in '%.*s' is not an index of the array there, "
		    "which has %u elements",
		    SHOW(part), SHOW(set->path), at->len);
	jwrite_array(set->w);
	for (e = at + 1, i = 0; i < at->len; i++, e = jval_next(e)) {
		if (i != index)
			jwrite_jval(set->w, e);
		else if (set_below(set, e, rest, depth) == -1)
			return -1;
	}
	if (index == at->len && set_below(set, NULL, rest, depth) == -1)
		return -1;
	jwrite_array_end(set->w);
	return 0;
}

/* ${at} is an object, or NULL for one that is to be made. */
static int
set_member(struct setter *set, const struct jval *at, struct str part,
    struct str rest, unsigned int depth)
{
	const struct jval *e, *target = jdoc_get(at, part);
	uint32_t i;

	jwrite_object(set->w);
	for (e = at == NULL ? NULL : at + 1, i = 0; e != NULL && i < at->len;
	     i++, e = jval_next(e + 1)) {
		jwrite_keyn(set->w, jval_str(e));
		if (e + 1 != target)
			jwrite_jval(set->w, e + 1);
		else if (set_below(set, target, rest, depth) == -1)
			return -1;
	}
	if (target == NULL) {
		jwrite_keyn(set->w, part);
		if (set_below(set, NULL, rest, depth) == -1)
			return -1;
	}
	jwrite_object_end(set->w);
	return 0;
}

/* Write what takes the place of ${at}; ${rest} of the path is below it. */
static int
set_below(struct setter *set, const struct jval *at, struct str rest,
    unsigned int depth)
{
	struct str part;

	if (rest.data == NULL) {
		jwrite_raw(set->w, set->json);
		return 0;
	}
	if (depth > JDOC_MAX_DEPTH)
		return err_set(set->err, ERR_INVALID,
		    "the path '%.*s' is deeper than %d", SHOW(set->path),
		    JDOC_MAX_DEPTH);
	part = next_part(&rest, '.');
	if (part.len == 0)
		return err_set(set->err, ERR_INVALID,
		    "the path '%.*s' has an empty part", SHOW(set->path));
	if (part.data + part.len == set->path.data + set->path.len)
		rest.data = NULL;
	if (at != NULL && jval_kind(at) < JDOC_ARRAY)
		return err_set(set->err, ERR_INVALID,
		    "'%.*s' in '%.*s' leads into a value that is %s",
		    SHOW(part), SHOW(set->path), jval_type_name(at));
	return at != NULL && jval_kind(at) == JDOC_ARRAY
		   ? set_element(set, at, part, rest, depth + 1)
		   : set_member(set, at, part, rest, depth + 1);
}

int
jpath_set(const struct jval *root, struct str dotted, struct str json,
    struct buf *out, struct err *err)
{
	const size_t before = out->len;
	struct jwrite w = jwrite_begin(out, 0);
	struct setter set = {dotted, json, &w, err};

	if (dotted.len == 0)
		return err_set(err, ERR_INVALID, "the path is empty");
	if (set_below(&set, root, dotted, 1) == -1) {
		/* Half a document is of no use to anybody. */
		out->len = before;
		if (out->data != NULL)
			out->data[before] = '\0';
		return -1;
	}
	return 0;
}
