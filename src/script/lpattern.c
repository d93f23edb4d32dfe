#include <ctype.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/compiler.h"

#include "script/lpattern.h"
#include "script/vm_internal.h"

/* Recursion of the matcher; as deep as Lua's own. */
#define MAX_DEPTH 200

static const char *match_here(struct lpattern *m, const char *s, const char *p);

/* The step budget: what is left of the slice. */
static void
step(const struct lpattern *m)
{
	if (UNLIKELY(limits_expired))
		(void)vm_kill_cpu(m->L);
}

/* Where the single-character item at ${p} ends: a character, an escape, a set.
 */
static const char *
item_end(const struct lpattern *m, const char *p)
{
	int first;

	if (*p == LPATTERN_ESCAPE) {
		if (p + 1 == m->pat_end)
			(void)luaL_error(
			    m->L, "malformed pattern (ends with '%%')");
		return p + 2;
	}
	if (*p++ != '[')
		return p;
	if (p < m->pat_end && *p == '^')
		p++;
	/* A "]" that comes first stands for itself. */
	for (first = 1;; first = 0) {
		if (p == m->pat_end)
			(void)luaL_error(
			    m->L, "malformed pattern (missing ']')");
		if (!first && *p == ']')
			return p + 1;
		if (*p++ == LPATTERN_ESCAPE && p < m->pat_end)
			p++;
	}
}

/* Whether ${c} is in the class that the letter ${letter} names. */
static int
in_class(int c, int letter)
{
	int in;

	switch (tolower(letter)) {
	case 'a':
		in = isalpha(c);
		break;
	case 'c':
		in = iscntrl(c);
		break;
	case 'd':
		in = isdigit(c);
		break;
	case 'g':
		in = isgraph(c);
		break;
	case 'l':
		in = islower(c);
		break;
	case 'p':
		in = ispunct(c);
		break;
	case 's':
		in = isspace(c);
		break;
	case 'u':
		in = isupper(c);
		break;
	case 'w':
		in = isalnum(c);
		break;
	case 'x':
		in = isxdigit(c);
		break;
	case 'z':
		/* Not in the manual any more, but still in use. */
		in = c == 0;
		break;
	default:
		return letter == c;
	}
	return isupper(letter) ? !in : in != 0;
}

/* Whether ${c} is in the set from its "[" at ${p} to its "]" at ${last}. */
static int
in_set(int c, const char *p, const char *last)
{
	const unsigned char *u = (const unsigned char *)p + 1;
	const unsigned char *end = (const unsigned char *)last;
	int found = 1;

	if (*u == '^') {
		found = 0;
		u++;
	}
	while (u < end) {
		if (*u == LPATTERN_ESCAPE) {
			if (in_class(c, u[1]))
				return found;
			u += 2;
		} else if (u[1] == '-' && u + 2 < end) {
			if (u[0] <= c && c <= u[2])
				return found;
			u += 3;
		} else if (*u++ == c) {
			return found;
		}
	}
	return !found;
}

/* Whether the character at ${s} matches the item from ${p} to ${ep}. */
static int
one(const struct lpattern *m, const char *s, const char *p, const char *ep)
{
	int c;

	if (s >= m->src_end)
		return 0;
	c = (unsigned char)*s;
	switch (*p) {
	case '.':
		return 1;
	case LPATTERN_ESCAPE:
		return in_class(c, (unsigned char)p[1]);
	case '[':
		return in_set(c, p, ep - 1);
	default:
		return (unsigned char)*p == c;
	}
}

/* As many as there are, then fewer: "*", and "+" after the first. */
static const char *
match_most(struct lpattern *m, const char *s, const char *p, const char *ep)
{
	const char *at = s, *end;

	while (one(m, at, p, ep)) {
		step(m);
		at++;
	}
	for (;; at--) {
		step(m);
		end = match_here(m, at, ep + 1);
		if (end != NULL || at == s)
			return end;
	}
}

/* As few as will do: "-". */
static const char *
match_least(struct lpattern *m, const char *s, const char *p, const char *ep)
{
	const char *end;

	for (;; s++) {
		step(m);
		end = match_here(m, s, ep + 1);
		if (end != NULL || !one(m, s, p, ep))
			return end;
	}
}

/* "%bxy" with ${p} at the x. */
static const char *
match_balance(struct lpattern *m, const char *s, const char *p)
{
	int open = 1;

	if (m->pat_end - p < 2)
		(void)luaL_error(
		    m->L, "malformed pattern (missing arguments to '%%b')");
	if (s >= m->src_end || *s != p[0])
		return NULL;
	while (++s < m->src_end) {
		step(m);
		if (*s == p[1]) {
			if (--open == 0)
				return s + 1;
		} else if (*s == p[0]) {
			open++;
		}
	}
	return NULL;
}

/* "%f[set]" with ${p} at the "[", which ends at ${ep}. */
static int
at_frontier(
    const struct lpattern *m, const char *s, const char *p, const char *ep)
{
	int before = s == m->src ? 0 : (unsigned char)s[-1];
	int here = s == m->src_end ? 0 : (unsigned char)*s;

	return !in_set(before, p, ep - 1) && in_set(here, p, ep - 1);
}

/* "%1": what the capture holds, once more. */
static const char *
match_back(struct lpattern *m, const char *s, char digit)
{
	int i = digit - '1';
	ptrdiff_t len;

	if (i < 0 || i >= m->ncaptures || m->captures[i].len == LPATTERN_OPEN)
		(void)luaL_error(m->L, "invalid capture index %%%d", i + 1);
	len = m->captures[i].len;
	if (len < 0 || m->src_end - s < len ||
	    memcmp(m->captures[i].at, s, (size_t)len) != 0)
		return NULL;
	return s + len;
}

static const char *
open_capture(struct lpattern *m, const char *s, const char *p, ptrdiff_t kind)
{
	const char *end;

	if (m->ncaptures >= LPATTERN_CAPTURES)
		(void)luaL_error(m->L, "too many captures");
	m->captures[m->ncaptures].at = s;
	m->captures[m->ncaptures].len = kind;
	m->ncaptures++;
	end = match_here(m, s, p);
	if (end == NULL)
		m->ncaptures--;
	return end;
}

static const char *
close_capture(struct lpattern *m, const char *s, const char *p)
{
	const char *end;
	int i = m->ncaptures - 1;

	while (i >= 0 && m->captures[i].len != LPATTERN_OPEN)
		i--;
	if (i < 0)
		(void)luaL_error(m->L, "invalid pattern capture");
	m->captures[i].len = s - m->captures[i].at;
	end = match_here(m, s, p);
	if (end == NULL)
		m->captures[i].len = LPATTERN_OPEN;
	return end;
}

/*
 * An item that is more than a character: "%b", "%f", "%1".  Moves *${p} behind
 * it and *${s} behind what it matched (NULL if it did not).
 *
 * Returns:   0 if there is no such item.
 */
static int
match_special(struct lpattern *m, const char **s, const char **p)
{
	const char *ep;
	char kind = *p + 1 < m->pat_end ? (*p)[1] : '\0';

	if (kind == 'b') {
		*s = match_balance(m, *s, *p + 2);
		*p += 4;
	} else if (kind == 'f') {
		*p += 2;
		if (*p >= m->pat_end || **p != '[')
			(void)luaL_error(
			    m->L, "missing '[' after '%%f' in pattern");
		ep = item_end(m, *p);
		if (!at_frontier(m, *s, *p, ep))
			*s = NULL;
		*p = ep;
	} else if (isdigit((unsigned char)kind)) {
		*s = match_back(m, *s, kind);
		*p += 2;
	} else {
		return 0;
	}
	return 1;
}

/* One item with what follows it: moves *${s} and *${p} on and returns 0, or
 * returns 1 and *${s} is where the whole match ends, or NULL. */
static int
match_item(struct lpattern *m, const char **s, const char **p)
{
	const char *ep = item_end(m, *p), *end;
	char times = ep < m->pat_end ? *ep : '\0';

	switch (times) {
	case '?':
		if (one(m, *s, *p, ep) &&
		    (end = match_here(m, *s + 1, ep + 1)) != NULL) {
			*s = end;
			return 1;
		}
		*p = ep + 1;
		return 0;
	case '*':
		*s = match_most(m, *s, *p, ep);
		return 1;
	case '+':
		*s = one(m, *s, *p, ep) ? match_most(m, *s + 1, *p, ep) : NULL;
		return 1;
	case '-':
		*s = match_least(m, *s, *p, ep);
		return 1;
	default:
		if (!one(m, *s, *p, ep)) {
			*s = NULL;
			return 1;
		}
		(*s)++;
		*p = ep;
		return 0;
	}
}

static const char *
match_here(struct lpattern *m, const char *s, const char *p)
{
	if (m->depth-- == 0)
		(void)luaL_error(m->L, "pattern too complex");
	step(m);
	while (s != NULL && p != m->pat_end) {
		if (*p == '(') {
			if (p + 1 < m->pat_end && p[1] == ')')
				s = open_capture(
				    m, s, p + 2, LPATTERN_POSITION);
			else
				s = open_capture(m, s, p + 1, LPATTERN_OPEN);
			break;
		}
		if (*p == ')') {
			s = close_capture(m, s, p + 1);
			break;
		}
		if (*p == '$' && p + 1 == m->pat_end) {
			s = s == m->src_end ? s : NULL;
			break;
		}
		if (*p == LPATTERN_ESCAPE && match_special(m, &s, &p))
			continue;
		if (match_item(m, &s, &p))
			break;
	}
	m->depth++;
	return s;
}

void
lpattern_init(struct lpattern *m, lua_State *L, const char *src, size_t srclen,
    const char *pat, size_t patlen)
{
	m->L = L;
	m->src = src;
	m->src_end = src + srclen;
	m->pat_end = pat + patlen;
}

const char *
lpattern_match(struct lpattern *m, const char *s, const char *p)
{
	m->depth = MAX_DEPTH;
	m->ncaptures = 0;
	return match_here(m, s, p);
}
