#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/schema_internal.h"

/* A product of two 64-bit numbers. */
__extension__ typedef unsigned __int128 wide_t;

static int
order(int less, int more)
{
	return more - less;
}

/* An integer against a real that need not be whole; both exact. */
static int
compare_real(const struct jval *a, double d)
{
	double whole = floor(d);
	int c;

	if (jval_kind(a) == JDOC_INT) {
		if (d >= 0x1p63)
			return -1;
		if (d < -0x1p63)
			return 1;
		c = order(a->v.i<(int64_t)whole, a->v.i>(int64_t) whole);
	} else {
		if (d >= 0x1p64)
			return -1;
		if (d < 0)
			return 1;
		c = order(a->v.u<(uint64_t)whole, a->v.u>(uint64_t) whole);
	}
	return c == 0 && d > whole ? -1 : c;
}

int
schema_number_compare(const struct jval *a, const struct jval *b)
{
	enum jdoc_kind ka = jval_kind(a), kb = jval_kind(b);

	if (ka == JDOC_REAL && kb == JDOC_REAL)
		return order(a->v.d<b->v.d, a->v.d> b->v.d);
	if (kb == JDOC_REAL)
		return compare_real(a, b->v.d);
	if (ka == JDOC_REAL)
		return -compare_real(b, a->v.d);
	if (ka == JDOC_INT && kb == JDOC_INT)
		return order(a->v.i<b->v.i, a->v.i> b->v.i);
	if (ka == kb)
		return order(a->v.u<b->v.u, a->v.u> b->v.u);
	/* Every JDOC_UINT is above every JDOC_INT. */
	return ka == JDOC_INT ? -1 : 1;
}

struct schema_decimal
schema_decimal_of(const struct jval *v)
{
	struct schema_decimal dec = {0, 0};
	char text[40];
	const char *p;
	int digits;
	double d;

	switch (jval_kind(v)) {
	case JDOC_INT:
		dec.digits = v->v.i < 0 ? 0 - v->v.u : v->v.u;
		return dec;
	case JDOC_UINT:
		dec.digits = v->v.u;
		return dec;
	case JDOC_REAL:
	case JDOC_NULL:
	case JDOC_FALSE:
	case JDOC_TRUE:
	case JDOC_STRING:
	case JDOC_ARRAY:
	case JDOC_OBJECT:
		break;
	}

	/* The shortest text that reads back as the same: what was meant. */
	d = fabs(v->v.d);
	for (digits = 14; digits <= 16; digits++) {
		(void)snprintf(text, sizeof(text), "%.*e", digits, d);
		if (strtod(text, NULL) == d)
			break;
	}
	for (p = text; *p != '\0' && *p != 'e'; p++) {
		if (*p >= '0' && *p <= '9')
			dec.digits = dec.digits * 10 + (uint64_t)(*p - '0');
	}
	if (digits > 16)
		digits = 16;
	dec.exponent = (*p == 'e' ? atoi(p + 1) : 0) - digits;
	while (dec.digits != 0 && dec.digits % 10 == 0) {
		dec.digits /= 10;
		dec.exponent++;
	}
	return dec;
}

/* (a * 10^power) % b */
static uint64_t
shifted_mod(uint64_t a, int power, uint64_t b)
{
	uint64_t ten = 10 % b, r = a % b;

	for (; power > 0; power /= 2) {
		if (power % 2 != 0)
			r = (uint64_t)((wide_t)r * ten % b);
		ten = (uint64_t)((wide_t)ten * ten % b);
	}
	return r;
}

int
schema_decimal_divides(struct schema_decimal a, struct schema_decimal b)
{
	int gap = a.exponent - b.exponent;

	if (a.digits == 0)
		return 1;
	if (gap >= 0)
		return shifted_mod(a.digits, gap, b.digits) == 0;
	/* The divisor has more zeros at its end: so must the number. */
	for (; gap < 0; gap++) {
		if (a.digits % 10 != 0)
			return 0;
		a.digits /= 10;
	}
	return a.digits % b.digits == 0;
}
