#include <pthread.h>
#include <stdint.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "schema/schema_internal.h"

#define LABEL_MAX 63
#define NAME_MAX_LEN 253

/*
 * What a label in Unicode must not have, RFC 5891 to 5893: PCRE2 brings the
 * tables of Unicode that the rules are written in.  It knows neither
 * normalization nor joining types: compatibility characters are named by their
 * blocks, and a non-joiner between letters of a joining script is taken for
 * right.
 */
#define JOINING "[\\p{sc:Arab}\\p{sc:Syrc}\\p{sc:Nko}\\p{sc:Mand}\\p{sc:Mong}]"

/* A mark at the start; hyphens at the ends, or third and fourth. */
#define WRONG_PLACE "^\\p{M}|^-|-$|^..--"

/* Middle dot, keraia, geresh, katakana dot, two sorts of Arabic digits; then
 * joiner and non-joiner. */
#define WRONG_CONTEXT                                                          \
	"|(?<!l)\\x{b7}|\\x{b7}(?!l)|\\x{375}(?!\\p{sc:Grek})"                 \
	"|(?<!\\p{sc:Hebr})[\\x{5f3}\\x{5f4}]"                                 \
	"|^(?=.*\\x{30fb})(?!.*[\\p{sc:Hira}\\p{sc:Kana}\\p{sc:Han}])"         \
	"|^(?=.*[\\x{660}-\\x{669}])(?=.*[\\x{6f0}-\\x{6f9}])"                 \
	"|(?<!\\p{Gr_Link})\\x{200d}"                                          \
	"|(?<!\\p{Gr_Link})(?<!" JOINING ")\\x{200c}"                          \
	"|(?<!\\p{Gr_Link})\\x{200c}(?!" JOINING ")"

/* What is valid by exception or in its context. */
#define EXCEPTIONS                                                             \
	"[-\\x{b7}\\x{df}\\x{375}\\x{3c2}\\x{5f3}\\x{5f4}\\x{6fd}\\x{6fe}"     \
	"\\x{f0b}\\x{200c}\\x{200d}\\x{3007}\\x{30fb}]"

/* Neither letter, mark nor digit; upper case; exceptions, Hangul jamo and
 * compatibility characters. */
#define WRONG_CHARACTER                                                        \
	"|(?!" EXCEPTIONS ")(?:"                                               \
	"[^\\p{Ll}\\p{Lo}\\p{Lm}\\p{Mn}\\p{Mc}\\p{Nd}]|\\p{CWCF}"              \
	"|[\\x{640}\\x{7fa}\\x{302e}\\x{302f}\\x{3031}-\\x{3035}\\x{303b}"     \
	"\\x{1100}-\\x{11ff}\\x{a960}-\\x{a97f}\\x{d7b0}-\\x{d7ff}"            \
	"\\x{aa}\\x{ba}\\x{2100}-\\x{214f}\\x{3131}-\\x{318e}"                 \
	"\\x{f900}-\\x{fa0d}\\x{fa15}-\\x{fa1e}\\x{fa2a}-\\x{fdff}"            \
	"\\x{fe70}-\\x{ffef}\\x{1d400}-\\x{1d7ff}\\x{1ee00}-\\x{1eeff}"        \
	"\\x{2f800}-\\x{2fa1f}])"

static const char wrong_label_text[] =
    WRONG_PLACE WRONG_CONTEXT WRONG_CHARACTER;

static pthread_once_t wrong_label_once = PTHREAD_ONCE_INIT;
static pcre2_code *wrong_label;

static void
wrong_label_compile(void)
{
	PCRE2_SIZE offset;
	int number;

	wrong_label =
	    pcre2_compile((PCRE2_SPTR)wrong_label_text, PCRE2_ZERO_TERMINATED,
		PCRE2_UTF | PCRE2_DOTALL, &number, &offset, NULL);
	if (wrong_label != NULL)
		(void)pcre2_jit_compile(wrong_label, PCRE2_JIT_COMPLETE);
}

static size_t
put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xC0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3F));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xE0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3F));
		out[2] = (char)(0x80 | (c & 0x3F));
		return 3;
	}
	out[0] = (char)(0xF0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3F));
	out[2] = (char)(0x80 | (c >> 6 & 0x3F));
	out[3] = (char)(0x80 | (c & 0x3F));
	return 4;
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* RFC 3492 section 6.1. */
static uint32_t
adapt(uint32_t delta, uint32_t points, int first)
{
	uint32_t k = 0;

	delta = first ? delta / 700 : delta / 2;
	delta += delta / points;
	for (; delta > 35 * 26 / 2; k += 36)
		delta /= 35;
	return k + 36 * delta / (delta + 38);
}

/* Take one variable-length number of RFC 3492; -1 if it is not whole. */
static int
take_delta(struct str *s, uint32_t bias, uint32_t *ret)
{
	uint32_t v = 0, weight = 1, digit, k, t;
	char c;

	for (k = 36;; k += 36) {
		if (s->len == 0)
			return -1;
		c = lower(s->data[0]);
		s->data++;
		s->len--;
		if (c >= 'a' && c <= 'z')
			digit = (uint32_t)(c - 'a');
		else if (c >= '0' && c <= '9')
			digit = (uint32_t)(c - '0') + 26;
		else
			return -1;
		if (digit > (UINT32_MAX / 2 - v) / weight)
			return -1;
		v += digit * weight;
		t = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
		if (digit < t)
			break;
		if (weight > UINT32_MAX / 2 / (36 - t))
			return -1;
		weight *= 36 - t;
	}
	*ret = v;
	return 0;
}

/* RFC 3492 section 6.2: the label behind "xn--"; how many code points, or 0. */
static size_t
decode(struct str s, uint32_t points[LABEL_MAX])
{
	uint32_t c = 128, i = 0, bias = 72, delta;
	size_t n = 0, dash = s.len, j;

	while (dash > 0 && s.data[dash - 1] != '-')
		dash--;
	for (j = 0; dash > 0 && j < dash - 1; j++)
		points[n++] = (unsigned char)lower(s.data[j]);
	s = (struct str){s.data + dash, s.len - dash};
	if (s.len == 0)
		return 0;
	while (s.len > 0) {
		if (n >= LABEL_MAX || take_delta(&s, bias, &delta) == -1)
			return 0;
		bias = adapt(delta, (uint32_t)n + 1, i == 0 && c == 128);
		i += delta;
		c += i / (uint32_t)(n + 1);
		i %= (uint32_t)(n + 1);
		if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
			return 0;
		memmove(points + i + 1, points + i, (n - i) * sizeof(*points));
		points[i++] = c;
		n++;
	}
	return n;
}

/* Whether what stands behind "xn--" is a label of IDNA 2008. */
static int
is_a_label(struct str s)
{
	uint32_t points[LABEL_MAX];
	char text[LABEL_MAX * 4];
	pcre2_match_data *data;
	size_t n, i, len = 0;
	int rc;

	n = decode(s, points);
	for (i = 0; i < n; i++)
		len += put_utf8(text + len, points[i]);
	(void)pthread_once(&wrong_label_once, wrong_label_compile);
	if (n == 0 || wrong_label == NULL)
		return 0;
	data = pcre2_match_data_create(1, NULL);
	if (data == NULL)
		return 0;
	rc = pcre2_match(wrong_label, (PCRE2_SPTR)text, len, 0,
	    PCRE2_NO_UTF_CHECK, data, NULL);
	pcre2_match_data_free(data);
	return rc == PCRE2_ERROR_NOMATCH;
}

static int
is_label(struct str s)
{
	size_t i;
	char c;

	if (s.len == 0 || s.len > LABEL_MAX || s.data[0] == '-' ||
	    s.data[s.len - 1] == '-')
		return 0;
	for (i = 0; i < s.len; i++) {
		c = lower(s.data[i]);
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
		    c != '-')
			return 0;
	}
	if (s.len < 4 || !str_eq_nocase((struct str){s.data, 4}, STR("xn--")))
		return 1;
	return is_a_label((struct str){s.data + 4, s.len - 4});
}

int
schema_hostname_check(struct str s)
{
	struct str label = {s.data, 0};
	size_t i;

	if (s.len == 0 || s.len > NAME_MAX_LEN)
		return 0;
	for (i = 0; i <= s.len; i++) {
		if (i < s.len && s.data[i] != '.')
			continue;
		label.len = (size_t)(s.data + i - label.data);
		if (!is_label(label))
			return 0;
		label.data = s.data + i + 1;
	}
	return 1;
}
