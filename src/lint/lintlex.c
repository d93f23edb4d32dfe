#include <string.h>

#include "base/compiler.h"

#include "lint/lintlex.h"

static const char *const words[] = {"and", "break", "do", "else", "elseif",
    "end", "false", "for", "function", "goto", "if", "in", "local", "nil",
    "not", "or", "repeat", "return", "then", "true", "until", "while"};

/* The longest first, where one begins like another. */
static const struct {
	const char *text;
	int kind;
} operators[] = {
    {"...", LINTLEX_DOTS},
    {"..", LINTLEX_BINARY},
    {"::", LINTLEX_LABEL},
    {"//", LINTLEX_BINARY},
    {"==", LINTLEX_EQUAL},
    {"~=", LINTLEX_EQUAL},
    {"<=", LINTLEX_BINARY},
    {">=", LINTLEX_BINARY},
    {"<<", LINTLEX_BINARY},
    {">>", LINTLEX_BINARY},
    {"+", LINTLEX_BINARY},
    {"*", LINTLEX_BINARY},
    {"/", LINTLEX_BINARY},
    {"%", LINTLEX_BINARY},
    {"^", LINTLEX_BINARY},
    {"&", LINTLEX_BINARY},
    {"|", LINTLEX_BINARY},
};

/* Characters that are tokens; "<" and ">" also stand around attributes, "-" and
 * "~" before one operand as well. */
static const char singles[] = "-~<>#=()[]{},;:.";

/* What Lua takes for letters is so in any locale. */
static int
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static int
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int
is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* The byte ${n} further on; 0 behind the end, which is no part of a token. */
static char
peek(const struct lintlex *lx, size_t n)
{
	return (size_t)(lx->end - lx->p) > n ? lx->p[n] : '\0';
}

void
lintlex_fail(struct lintlex *lx)
{
	lx->failed = 1;
	lx->p = lx->end;
	lx->token.kind = LINTLEX_END;
}

/* Over the end of a line; CR LF and LF CR are one. */
static void
skip_newline(struct lintlex *lx)
{
	const char c = peek(lx, 0), other = c == '\n' ? '\r' : '\n';

	lx->p += peek(lx, 1) == other ? 2 : 1;
	lx->line++;
	lx->line_begin = lx->p;
}

/* How many "=" are in the long bracket that opens here, or -1. */
static int
bracket_level(const struct lintlex *lx)
{
	size_t n = 1;

	while (peek(lx, n) == '=')
		n++;
	return peek(lx, 0) == '[' && peek(lx, n) == '[' ? (int)(n - 1) : -1;
}

/* Over a long string or comment; its text without the brackets. */
static struct str
skip_long(struct lintlex *lx, int level)
{
	const size_t width = (size_t)level + 2;
	const char *begin;
	size_t n;

	lx->p += width;
	for (begin = lx->p; lx->p < lx->end;) {
		if (*lx->p == '\n' || *lx->p == '\r') {
			skip_newline(lx);
			continue;
		}
		for (n = 1; *lx->p == ']' && peek(lx, n) == '='; n++)
			;
		if (*lx->p == ']' && n == width - 1 && peek(lx, n) == ']') {
			lx->p += width;
			return (struct str){
			    begin, (size_t)(lx->p - begin) - width};
		}
		/* No closing bracket begins at an "=", so each is seen once. */
		lx->p += n;
	}
	lintlex_fail(lx);
	return (struct str){"", 0};
}

/* Over white space and comments. */
static void
skip_blank(struct lintlex *lx)
{
	int level;

	while (lx->p < lx->end) {
		if (*lx->p == '\n' || *lx->p == '\r') {
			skip_newline(lx);
		} else if (strchr(" \t\v\f", *lx->p) != NULL &&
			   *lx->p != '\0') {
			lx->p++;
		} else if (*lx->p == '-' && peek(lx, 1) == '-') {
			lx->p += 2;
			level = bracket_level(lx);
			if (level >= 0)
				(void)skip_long(lx, level);
			while (level < 0 && lx->p < lx->end && *lx->p != '\n' &&
			       *lx->p != '\r')
				lx->p++;
		} else {
			return;
		}
	}
}

/* Over the character behind a backslash, and what belongs to it. */
static void
skip_escape(struct lintlex *lx)
{
	const char c = peek(lx, 0);

	if (c == '\n' || c == '\r') {
		skip_newline(lx);
		return;
	}
	if (lx->p < lx->end)
		lx->p++;
	if (c != 'z')
		return;
	while (lx->p < lx->end) {
		if (*lx->p == '\n' || *lx->p == '\r')
			skip_newline(lx);
		else if (strchr(" \t\v\f", *lx->p) != NULL && *lx->p != '\0')
			lx->p++;
		else
			return;
	}
}

static void
read_string(struct lintlex *lx)
{
	const char quote = *lx->p++, *begin = lx->p;

	while (lx->p < lx->end && *lx->p != quote) {
		if (*lx->p == '\n' || *lx->p == '\r')
			break;
		if (*lx->p++ == '\\')
			skip_escape(lx);
	}
	if (peek(lx, 0) != quote) {
		lintlex_fail(lx);
		return;
	}
	lx->token.kind = LINTLEX_STRING;
	lx->token.text = (struct str){begin, (size_t)(lx->p - begin)};
	lx->p++;
}

/* As Lua does: whatever looks like a part of it, it is judged later. */
static void
read_number(struct lintlex *lx)
{
	char exponent = 'e';

	if (peek(lx, 0) == '0' && (peek(lx, 1) | 0x20) == 'x') {
		exponent = 'p';
		lx->p += 2;
	}
	for (;;) {
		if ((peek(lx, 0) | 0x20) == exponent) {
			lx->p++;
			if (peek(lx, 0) == '+' || peek(lx, 0) == '-')
				lx->p++;
		} else if (is_hex(peek(lx, 0)) || peek(lx, 0) == '.') {
			lx->p++;
		} else {
			break;
		}
	}
	lx->token.kind = LINTLEX_NUMBER;
	if (is_letter(peek(lx, 0)))
		lintlex_fail(lx);
}

static void
read_name(struct lintlex *lx)
{
	const char *begin = lx->p;
	size_t i;

	while (is_letter(peek(lx, 0)) || is_digit(peek(lx, 0)))
		lx->p++;
	lx->token.kind = LINTLEX_NAME;
	lx->token.text = (struct str){begin, (size_t)(lx->p - begin)};
	for (i = 0; i < NELEMS(words); i++) {
		if (str_eq(lx->token.text, str_of(words[i])))
			lx->token.kind = LINTLEX_AND + (int)i;
	}
}

static void
read_operator(struct lintlex *lx)
{
	const size_t left = (size_t)(lx->end - lx->p);
	size_t i, n;

	for (i = 0; i < NELEMS(operators); i++) {
		n = strlen(operators[i].text);
		if (n <= left && memcmp(lx->p, operators[i].text, n) == 0) {
			lx->p += n;
			lx->token.kind = operators[i].kind;
			return;
		}
	}
	if (*lx->p == '\0' || strchr(singles, *lx->p) == NULL) {
		lintlex_fail(lx);
		return;
	}
	lx->token.kind = *lx->p++;
}

void
lintlex_next(struct lintlex *lx)
{
	int level;

	skip_blank(lx);
	lx->token.line = lx->line;
	lx->token.column = (unsigned int)(lx->p - lx->line_begin) + 1;
	lx->token.text = (struct str){"", 0};
	if (lx->p == lx->end) {
		lx->token.kind = LINTLEX_END;
	} else if (is_letter(*lx->p)) {
		read_name(lx);
	} else if (is_digit(*lx->p) ||
		   (*lx->p == '.' && is_digit(peek(lx, 1)))) {
		read_number(lx);
	} else if (*lx->p == '"' || *lx->p == '\'') {
		read_string(lx);
	} else if ((level = bracket_level(lx)) >= 0) {
		lx->token.text = skip_long(lx, level);
		lx->token.kind = lx->failed ? LINTLEX_END : LINTLEX_STRING;
	} else {
		read_operator(lx);
	}
}

struct lintlex
lintlex_begin(struct str source)
{
	struct lintlex lx = {.line = 1};

	lx.p = lx.line_begin = source.len == 0 ? "" : source.data;
	lx.end = lx.p + source.len;
	/* As Lua does it for files: a first line with "#" is for the shell. */
	if (peek(&lx, 0) == '#') {
		while (lx.p < lx.end && *lx.p != '\n' && *lx.p != '\r')
			lx.p++;
	}
	lintlex_next(&lx);
	return lx;
}
