#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/buf.h"
#include "base/err.h"

#include "schema/schema_internal.h"

/* Backtracking: what nearly every match stays below, and the most there may be
 * (some milliseconds). */
#define EASY_LIMIT 1000U
#define HARD_LIMIT 500000U
#define HARD_DEPTH 250000U
#define HEAP_KIB 32768U

/* What ECMA 262 calls white space and line terminators, within a class.  Both
 * end in a range, so that a hyphen behind them stands for itself. */
#define SPACES                                                                 \
	"\\x09-\\x0d\\x20\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}"         \
	"\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}-\\x{feff}"
#define NOT_SPACES                                                             \
	"\\x00-\\x08\\x0e-\\x1f\\x21-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-"       \
	"\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}"   \
	"\\x{2060}-\\x{2fff}\\x{3001}-\\x{fefe}\\x{ff00}-\\x{10ffff}"

/* General categories whose long names PCRE2 does not know. */
static const struct {
	const char *name;
	const char *brief;
} categories[] = {
    {"Cased_Letter", "L&"},
    {"Close_Punctuation", "Pe"},
    {"Connector_Punctuation", "Pc"},
    {"Control", "Cc"},
    {"Currency_Symbol", "Sc"},
    {"Dash_Punctuation", "Pd"},
    {"Decimal_Number", "Nd"},
    {"Enclosing_Mark", "Me"},
    {"Final_Punctuation", "Pf"},
    {"Format", "Cf"},
    {"Initial_Punctuation", "Pi"},
    {"Letter", "L"},
    {"Letter_Number", "Nl"},
    {"Line_Separator", "Zl"},
    {"Lowercase_Letter", "Ll"},
    {"Mark", "M"},
    {"Combining_Mark", "M"},
    {"Math_Symbol", "Sm"},
    {"Modifier_Letter", "Lm"},
    {"Modifier_Symbol", "Sk"},
    {"Nonspacing_Mark", "Mn"},
    {"Number", "N"},
    {"Open_Punctuation", "Ps"},
    {"Other", "C"},
    {"Other_Letter", "Lo"},
    {"Other_Number", "No"},
    {"Other_Punctuation", "Po"},
    {"Other_Symbol", "So"},
    {"Paragraph_Separator", "Zp"},
    {"Private_Use", "Co"},
    {"Punctuation", "P"},
    {"Separator", "Z"},
    {"Space_Separator", "Zs"},
    {"Spacing_Mark", "Mc"},
    {"Surrogate", "Cs"},
    {"Symbol", "S"},
    {"Titlecase_Letter", "Lt"},
    {"Unassigned", "Cn"},
    {"Uppercase_Letter", "Lu"},
    {"cntrl", "Cc"},
    {"digit", "Nd"},
    {"punct", "P"},
};

/* Reads four hexadecimal digits; -1 if they are not that. */
static long
read_hex4(const char *p, const char *end)
{
	long v = 0;
	int i;

	if (end - p < 4)
		return -1;
	for (i = 0; i < 4; i++) {
		if (!isxdigit((unsigned char)p[i]))
			return -1;
		v = v * 16 +
		    (p[i] <= '9' ? p[i] - '0' : (p[i] | 32) - 'a' + 10);
	}
	return v;
}

/* "\uXXXX", two of them for a surrogate pair, "\u{X}"; ${p} is at the "u". */
static const char *
put_unicode(struct buf *out, const char *p, const char *end)
{
	long hi = read_hex4(p + 1, end), lo = -1;

	if (p + 1 < end && p[1] == '{') {
		buf_puts(out, "\\x");
		return p + 1;
	}
	if (hi < 0) {
		buf_puts(out, "u");
		return p + 1;
	}
	p += 5;
	if (hi >= 0xD800 && hi <= 0xDBFF && end - p >= 6 && p[0] == '\\' &&
	    p[1] == 'u')
		lo = read_hex4(p + 2, end);
	if (lo >= 0xDC00 && lo <= 0xDFFF) {
		hi = 0x10000 + ((hi - 0xD800) << 10) + (lo - 0xDC00);
		p += 6;
	}
	buf_printf(out, "\\x{%lx}", (unsigned long)hi);
	return p;
}

/* "\p{Name}": names as ECMA 262 has them; ${p} is at the "p" or "P". */
static const char *
put_property(struct buf *out, const char *p, const char *end)
{
	const char *name = p + 2, *close = NULL;
	const char *const prefixes[] = {"General_Category=", "gc="};
	struct str s;
	size_t i;

	if (end - p > 2 && p[1] == '{')
		close = memchr(p, '}', (size_t)(end - p));
	if (close == NULL) {
		buf_printf(out, "\\%c", *p);
		return p + 1;
	}
	s = (struct str){name, (size_t)(close - name)};
	for (i = 0; i < NELEMS(prefixes); i++) {
		if (s.len > strlen(prefixes[i]) &&
		    memcmp(s.data, prefixes[i], strlen(prefixes[i])) == 0) {
			s.data += strlen(prefixes[i]);
			s.len -= strlen(prefixes[i]);
		}
	}
	for (i = 0; i < NELEMS(categories); i++) {
		if (str_eq(s, str_of(categories[i].name)))
			s = str_of(categories[i].brief);
	}
	buf_printf(out, "\\%c{", *p);
	buf_put(out, s.data, s.len);
	buf_putc(out, '}');
	return close + 1;
}

/* An escape; ${p} is behind the backslash. */
static const char *
put_escape(struct buf *out, const char *p, const char *end, int in_class)
{
	switch (*p) {
	case 'u':
		return put_unicode(out, p, end);
	case 'p':
	case 'P':
		return put_property(out, p, end);
	case 's':
		buf_puts(out, in_class ? SPACES : "[" SPACES "]");
		return p + 1;
	case 'S':
		buf_puts(out, in_class ? NOT_SPACES : "[^" SPACES "]");
		return p + 1;
	default:
		buf_putc(out, '\\');
		/* A character of several bytes goes over as a whole. */
		do
			buf_putc(out, *p++);
		while (p < end && ((unsigned char)*p & 0xC0) == 0x80);
		return p;
	}
}

/* Rewrite what ECMA 262 and PCRE2 read differently. */
static int
translate(struct str s, struct buf *out, struct err *err)
{
	const char *p = s.data, *end = s.data + s.len, *open = NULL;

	while (p < end) {
		if (*p == '\\') {
			if (p + 1 == end)
				return err_set(
				    err, ERR_INVALID, "a backslash at the end");
			if (p[1] == 'Q' || p[1] == 'E')
				return err_set(err, ERR_INVALID,
				    "\\%c at offset %zu is not of ECMA 262",
				    p[1], (size_t)(p - s.data));
			p = put_escape(out, p + 1, end, open != NULL);
			continue;
		}
		if (open != NULL) {
			/* In a class, "[" is a character like others. */
			if (*p == '[')
				buf_putc(out, '\\');
			else if (*p == ']')
				open = NULL;
		} else if (*p == '[') {
			open = p;
			/* "[]" is nothing and "[^]" is everything. */
			if (end - p >= 2 && p[1] == ']') {
				buf_puts(out, "(?!)");
				p += 2;
				open = NULL;
				continue;
			}
			if (end - p >= 3 && p[1] == '^' && p[2] == ']') {
				buf_puts(out, "(?s:.)");
				p += 3;
				open = NULL;
				continue;
			}
		} else if (*p == '.') {
			buf_puts(out, "[^\\n\\r\\x{2028}\\x{2029}]");
			p++;
			continue;
		} else if (*p == '(' && end - p >= 2 && p[1] == '*') {
			return err_set(err, ERR_INVALID,
			    "nothing to repeat at offset %zu",
			    (size_t)(p + 1 - s.data));
		}
		buf_putc(out, *p++);
	}
	return 0;
}

int
schema_pattern_compile(struct schema_pattern *pattern, struct err *err)
{
	pcre2_compile_context *context = NULL;
	struct buf text = BUF_INIT;
	pcre2_code *code = NULL;
	PCRE2_UCHAR why[120];
	PCRE2_SIZE offset;
	int number, rc = -1;

	if (translate(pattern->text, &text, err) == -1)
		goto out;
	context = pcre2_compile_context_create(NULL);
	if (context != NULL)
		(void)pcre2_set_parens_nest_limit(context, 100);
	code = pcre2_compile((PCRE2_SPTR)buf_text(&text), text.len,
	    PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_MATCH_UNSET_BACKREF |
		PCRE2_NEVER_BACKSLASH_C,
	    &number, &offset, context);
	if (code == NULL) {
		(void)pcre2_get_error_message(number, why, sizeof(why));
		(void)err_set(err, ERR_INVALID, "%s", (const char *)why);
		goto out;
	}

	/* Where memory must not be executable, the interpreter has to do. */
	(void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
	pattern->code = code;
	rc = 0;

out:
	pcre2_compile_context_free(context);
	buf_free(&text);
	return rc;
}

void
schema_pattern_free(struct schema_pattern *pattern)
{
	pcre2_code_free(pattern->code);
	pattern->code = NULL;
}

enum schema_match
schema_pattern_match(const struct schema_pattern *pattern,
    struct schema_matcher *matcher, struct str s, int hard)
{
	int rc;

	/* One pair of offsets will do for any pattern: they are not read. */
	if (matcher->data == NULL) {
		matcher->data = pcre2_match_data_create(1, NULL);
		matcher->context = pcre2_match_context_create(NULL);
		if (matcher->data == NULL || matcher->context == NULL)
			abort();
		(void)pcre2_set_depth_limit(matcher->context, HARD_DEPTH);
		(void)pcre2_set_heap_limit(matcher->context, HEAP_KIB);
	}
	(void)pcre2_set_match_limit(
	    matcher->context, hard ? HARD_LIMIT : EASY_LIMIT);
	rc = pcre2_match(pattern->code,
	    (PCRE2_SPTR)(s.data != NULL ? s.data : ""), s.len, 0,
	    PCRE2_NO_UTF_CHECK, matcher->data, matcher->context);
	/* The machine's stack is small for compiled code; the heap is not. */
	if (rc == PCRE2_ERROR_JIT_STACKLIMIT) {
		rc = pcre2_match(pattern->code, (PCRE2_SPTR)s.data, s.len, 0,
		    PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, matcher->data,
		    matcher->context);
	}
	if (rc >= 0)
		return SCHEMA_MATCH_YES;
	return rc == PCRE2_ERROR_NOMATCH ? SCHEMA_MATCH_NO : SCHEMA_MATCH_LIMIT;
}

void
schema_matcher_free(struct schema_matcher *matcher)
{
	if (matcher->data == NULL)
		return;
	pcre2_match_context_free(matcher->context);
	pcre2_match_data_free(matcher->data);
	matcher->data = NULL;
	matcher->context = NULL;
}
