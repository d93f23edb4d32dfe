#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

#include "json/jdoc.h"

#include "json/jscan.h"

/* A double holds every whole number up to here. */
#define EXACT_MAX (1ULL << 53)

/* 10^19, the smallest number of 20 digits. */
#define TEN_19 10000000000000000000U

/* Digits that always fit a uint64_t. */
#define MAX_DIGITS 19

/* An exponent beyond this one is as good as endless. */
#define MAX_EXP 100000

/* Powers of ten that are exact. */
static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8,
    1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21,
    1e22};

/* A number that is being read. */
struct number {
	const char *begin;
	uint64_t digits; /* Of the mantissa; wraps if there are too many. */
	size_t count;    /* How many digits those were. */
	int exp;         /* Power of ten that the digits are to be taken by. */
	int negative;
};

static inline int
is_digit(const char *p, const char *end)
{
	return p < end && (unsigned char)(*p - '0') <= 9;
}

/* Let the library read ${len} bytes, which are a number. */
static double
convert(const char *begin, size_t len)
{
	char small[128], *copy = small;
	locale_t c_locale;
	double d;

	/* Neither is the text terminated nor the locale's point a point. */
	copy = len < sizeof(small) ? small : mem_alloc(len + 1);
	(void)memcpy(copy, begin, len);
	copy[len] = '\0';
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	d = strtod_l(copy, NULL, c_locale);
	freelocale(c_locale);
	if (copy != small)
		free(copy);
	return d;
}

/* Correctly rounded: the short way where it is exact, else the library. */
static enum jscan_outcome
finish_real(const struct number *n, const char *end, struct jval *ret)
{
	double d;

	if (n->count <= MAX_DIGITS && n->digits == 0) {
		d = 0;
	} else if (FLT_EVAL_METHOD == 0 && n->count <= MAX_DIGITS &&
		   n->digits <= EXACT_MAX && n->exp >= -22 && n->exp <= 22) {
		/* Both are exact, so the one operation rounds once. */
		d = (double)n->digits;
		d = n->exp < 0 ? d / powers[-n->exp] : d * powers[n->exp];
	} else {
		d = fabs(convert(n->begin, (size_t)(end - n->begin)));
		if (isinf(d))
			return JSCAN_RANGE;
	}
	ret->kind = JDOC_REAL;
	ret->v.d = n->negative ? -d : d;
	return JSCAN_OK;
}

/* A number without fraction or exponent. */
static enum jscan_outcome
finish_whole(const struct number *n, const char *end, struct jval *ret)
{
	const uint64_t limit = (uint64_t)INT64_MAX + (n->negative ? 1 : 0);
	const char *first = n->begin + (n->negative ? 1 : 0);

	/* Of 20 digits, those from 2^64 wrap to less than 10^19. */
	if (n->count > MAX_DIGITS + 1 ||
	    (n->count > MAX_DIGITS && (*first != '1' || n->digits < TEN_19)))
		return finish_real(n, end, ret);
	if (n->digits <= limit) {
		/* Only a double has a minus zero. */
		if (n->negative && n->digits == 0)
			return finish_real(n, end, ret);
		ret->kind = JDOC_INT;
		ret->v.i = (int64_t)(n->negative ? 0 - n->digits : n->digits);
		return JSCAN_OK;
	}
	if (n->negative)
		return finish_real(n, end, ret);
	ret->kind = JDOC_UINT;
	ret->v.u = n->digits;
	return JSCAN_OK;
}

/* Digits into ${n}; returns what is behind them. */
static inline const char *
scan_digits(struct number *n, const char *p, const char *end)
{
	const char *begin = p;
	uint64_t v = n->digits;

	for (; is_digit(p, end); p++)
		v = v * 10 + (unsigned int)(*p - '0');
	n->digits = v;
	n->count += (size_t)(p - begin);
	return p;
}

/* What is behind the "e"; the caller checks that it ended with a digit. */
static const char *
scan_exponent(struct number *n, const char *p, const char *end)
{
	int negative = 0, exp = 0;

	if (p < end && (*p == '+' || *p == '-'))
		negative = *p++ == '-';
	for (; is_digit(p, end); p++) {
		if (exp < MAX_EXP)
			exp = exp * 10 + (*p - '0');
	}
	n->exp += negative ? -exp : exp;
	return p;
}

enum jscan_outcome
jscan_number(const char **at, const char *end, struct jval *ret)
{
	struct number n = {*at, 0, 0, 0, 0};
	enum jscan_outcome rc = JSCAN_BAD;
	const char *p = *at, *mark;

	ret->len = 0;
	n.negative = *p == '-';
	p += n.negative;

	/* A zero stands alone; a digit behind it is the caller's to refuse. */
	if (!is_digit(p, end))
		goto out;
	if (*p == '0') {
		n.count = 1;
		p++;
	} else {
		p = scan_digits(&n, p, end);
	}
	if (p == end || (*p != '.' && *p != 'e' && *p != 'E')) {
		rc = finish_whole(&n, p, ret);
		goto out;
	}

	if (*p == '.') {
		mark = ++p;
		p = scan_digits(&n, p, end);
		if (p == mark)
			goto out;
		/* So many that an int cannot count them are read otherwise. */
		n.exp = p - mark > MAX_EXP ? -MAX_EXP : -(int)(p - mark);
	}
	if (p < end && (*p == 'e' || *p == 'E')) {
		p = scan_exponent(&n, p + 1, end);
		if (p[-1] < '0' || p[-1] > '9')
			goto out;
	}
	rc = finish_real(&n, p, ret);

out:
	*at = rc == JSCAN_RANGE ? n.begin : p;
	return rc;
}
