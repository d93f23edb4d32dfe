#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "schedule/civil.h"

#include "schedule/zone.h"

/* The largest file of tzdata has 4 KB. */
#define MAX_FILE (1U << 20)

#define HEADER_BYTES 44
#define TYPE_BYTES 6
#define MAX_OFFSET_S (26 * 3600)

/* A rule is valid for any year that a clock shows. */
#define MIN_YEAR (-100000)
#define MAX_YEAR 100000

/* When a rule of the footer changes the clocks. */
enum rule_kind {
	RULE_JULIAN, /* Jn: 29 February is never counted. */
	RULE_DAY,    /* n: it is, from 0. */
	RULE_WEEK,   /* Mm.w.d */
};

struct rule {
	enum rule_kind kind;
	int day; /* JULIAN, DAY; WEEK: 0 is Sunday. */
	int month;
	int week; /* 5 is the last one. */
	int32_t time_s;
};

struct transition {
	int64_t unix_s;
	int32_t offset_s;
};

struct zone {
	int32_t first_offset_s; /* Before the first transition. */
	struct transition *transitions;
	size_t n;
	int has_footer;
	int has_rules;
	int32_t standard_s;
	int32_t summer_s;
	struct rule to_summer;
	struct rule to_standard;
};

/* ---- the footer: POSIX TZ with the extensions of RFC 9636 -----------------
 */

struct reader {
	const char *at;
	const char *end;
};

static int
peek(const struct reader *r)
{
	return r->at < r->end ? (unsigned char)*r->at : -1;
}

static int
take(struct reader *r, char c)
{
	if (peek(r) != c)
		return 0;
	r->at++;
	return 1;
}

static int
read_number(struct reader *r, int max, int *ret)
{
	int n = 0, digits = 0;

	for (; peek(r) >= '0' && peek(r) <= '9'; r->at++, digits++) {
		n = n * 10 + (*r->at - '0');
		if (n > max)
			return -1;
	}
	*ret = n;
	return digits > 0 ? 0 : -1;
}

/* [+-]hh[:mm[:ss]] */
static int
read_time(struct reader *r, int max_hours, int32_t *ret_s)
{
	int sign = 1, h, m = 0, s = 0;

	if (take(r, '-'))
		sign = -1;
	else
		(void)take(r, '+');
	if (read_number(r, max_hours, &h) == -1)
		return -1;
	if (take(r, ':')) {
		if (read_number(r, 59, &m) == -1)
			return -1;
		if (take(r, ':') && read_number(r, 59, &s) == -1)
			return -1;
	}
	*ret_s = sign * (h * 3600 + m * 60 + s);
	return 0;
}

static int
is_letter(int c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static int
read_name(struct reader *r)
{
	const char *from = r->at;

	if (take(r, '<')) {
		while (peek(r) != -1 && peek(r) != '>')
			r->at++;
		return take(r, '>') ? 0 : -1;
	}
	while (is_letter(peek(r)))
		r->at++;
	return r->at - from >= 3 ? 0 : -1;
}

static int
read_rule(struct reader *r, struct rule *ret)
{
	ret->time_s = 2 * 3600;
	if (take(r, 'M')) {
		ret->kind = RULE_WEEK;
		if (read_number(r, 12, &ret->month) == -1 || ret->month == 0 ||
		    !take(r, '.') || read_number(r, 5, &ret->week) == -1 ||
		    ret->week == 0 || !take(r, '.') ||
		    read_number(r, 6, &ret->day) == -1)
			return -1;
	} else if (take(r, 'J')) {
		ret->kind = RULE_JULIAN;
		if (read_number(r, 365, &ret->day) == -1 || ret->day == 0)
			return -1;
	} else {
		ret->kind = RULE_DAY;
		if (read_number(r, 365, &ret->day) == -1)
			return -1;
	}
	return take(r, '/') ? read_time(r, 167, &ret->time_s) : 0;
}

static int
read_footer(struct zone *z, struct reader *r)
{
	if (r->at == r->end)
		return 0;
	if (read_name(r) == -1 || read_time(r, 24, &z->standard_s) == -1)
		return -1;
	z->standard_s = -z->standard_s; /* There, west is positive. */
	z->has_footer = 1;
	if (r->at == r->end)
		return 0;
	if (read_name(r) == -1)
		return -1;
	z->summer_s = z->standard_s + 3600;
	if (peek(r) != ',') {
		if (read_time(r, 24, &z->summer_s) == -1)
			return -1;
		z->summer_s = -z->summer_s;
	}
	z->has_rules = 1;
	if (!take(r, ',') || read_rule(r, &z->to_summer) == -1 ||
	    !take(r, ',') || read_rule(r, &z->to_standard) == -1)
		return -1;
	return r->at == r->end ? 0 : -1;
}

/* Local seconds, by the clock before the change. */
static int64_t
rule_local(const struct rule *rule, int64_t year)
{
	int64_t first, day;
	int month_days;

	if (rule->kind == RULE_DAY) {
		day = civil_days(year, 1, 1) + rule->day;
	} else if (rule->kind == RULE_JULIAN) {
		day = civil_days(year, 1, 1) + rule->day - 1 +
		      (civil_is_leap(year) && rule->day > 59);
	} else {
		first = civil_days(year, rule->month, 1);
		month_days = civil_month_days(year, rule->month);
		day = (rule->day - civil_weekday(first) + 7) % 7 +
		      7 * (rule->week - 1);
		while (day >= month_days)
			day -= 7;
		day += first;
	}
	return day * CIVIL_DAY_S + rule->time_s;
}

/* ---- the file -------------------------------------------------------------
 */

static uint64_t
big_endian(const unsigned char *at, size_t n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | *at++;
	return v;
}

/* The counts of a header, and where the parts behind it are. */
struct block {
	size_t time_bytes;
	size_t ntimes;
	size_t ntypes;
	const unsigned char *times;
	const unsigned char *indices;
	const unsigned char *types;
	const unsigned char *end;
};

static int
read_block(const unsigned char *at, const unsigned char *end, size_t time_bytes,
    struct block *ret)
{
	uint64_t counts[6], bytes;
	size_t i;

	if (end - at < HEADER_BYTES || memcmp(at, "TZif", 4) != 0)
		return -1;
	for (i = 0; i < 6; i++)
		counts[i] = big_endian(at + 20 + 4 * i, 4);
	at += HEADER_BYTES;
	/* isut, isstd, leap, time, type, char: none beyond 2^32. */
	bytes = counts[3] * (time_bytes + 1) + counts[4] * TYPE_BYTES +
		counts[5] + counts[2] * (time_bytes + 4) + counts[1] +
		counts[0];
	if (bytes > (uint64_t)(end - at))
		return -1;
	ret->time_bytes = time_bytes;
	ret->ntimes = (size_t)counts[3];
	ret->ntypes = (size_t)counts[4];
	ret->times = at;
	ret->indices = at + ret->ntimes * time_bytes;
	ret->types = ret->indices + ret->ntimes;
	ret->end = at + bytes;
	/* Leap seconds are not counted by unix time. */
	return counts[2] == 0 ? 0 : -1;
}

static int
read_type(const struct block *b, size_t i, int32_t *ret_offset_s)
{
	int32_t offset;

	if (i >= b->ntypes)
		return -1;
	offset = (int32_t)(uint32_t)big_endian(b->types + i * TYPE_BYTES, 4);
	*ret_offset_s = offset;
	return offset >= -MAX_OFFSET_S && offset <= MAX_OFFSET_S ? 0 : -1;
}

static int
read_transitions(struct zone *z, const struct block *b)
{
	struct transition *t;
	uint64_t raw;
	size_t i;

	if (read_type(b, 0, &z->first_offset_s) == -1)
		return -1;
	z->transitions = mem_array(b->ntimes + 1, sizeof(*z->transitions));
	for (i = 0; i < b->ntimes; i++) {
		t = &z->transitions[i];
		raw = big_endian(b->times + i * b->time_bytes, b->time_bytes);
		t->unix_s =
		    b->time_bytes == 4 ? (int32_t)(uint32_t)raw : (int64_t)raw;
		if (read_type(b, b->indices[i], &t->offset_s) == -1 ||
		    (i > 0 && t->unix_s <= t[-1].unix_s))
			return -1;
	}
	z->n = b->ntimes;
	return 0;
}

/* What is of use in a file. */
static int
read_file(struct zone *z, const unsigned char *at, const unsigned char *end)
{
	struct reader footer = {0};
	struct block block;

	if (read_block(at, end, 4, &block) == -1)
		return -1;
	if (at[4] < '2')
		return read_transitions(z, &block);
	if (read_block(block.end, end, 8, &block) == -1 ||
	    read_transitions(z, &block) == -1 || block.end == end ||
	    *block.end != '\n')
		return -1;
	footer.at = (const char *)block.end + 1;
	footer.end =
	    memchr(footer.at, '\n', (size_t)((const char *)end - footer.at));
	return footer.end == NULL ? -1 : read_footer(z, &footer);
}

int
zone_parse(
    const void *bytes, size_t len, struct zone **ret_zone, struct err *err)
{
	struct zone *z = mem_zalloc(sizeof(*z));
	const unsigned char *at = bytes;

	if (read_file(z, at, at + len) == -1) {
		zone_free(z);
		return err_set(err, ERR_INVALID, "it is no time zone file");
	}
	*ret_zone = z;
	return 0;
}

void
zone_free(struct zone *z)
{
	if (z == NULL)
		return;
	free(z->transitions);
	free(z);
}

/* ---- by name --------------------------------------------------------------
 */

static int
is_name(const char *name)
{
	const char *p;

	if (strlen(name) > ZONE_NAME_MAX || !is_letter(name[0]) ||
	    strncmp(name, "right/", 6) == 0)
		return 0;
	for (p = name; *p != '\0'; p++) {
		/* No dots, so no way out of the folder. */
		if (!is_letter((unsigned char)*p) &&
		    !(*p >= '0' && *p <= '9') && strchr("_-+/", *p) == NULL)
			return 0;
	}
	return 1;
}

/* The name that was probably meant: one of the same area. */
static char *
likely_name(const char *dir, const char *name)
{
	const char *slash = strrchr(name, '/');
	size_t area = slash == NULL ? 0 : (size_t)(slash - name) + 1;
	char *path = mem_printf("%s/%.*s", dir, (int)area, name);
	char **names = NULL, *likely = NULL;
	const char *best;
	size_t n = 0, cap = 0;
	struct dirent *e;
	DIR *d = opendir(path);

	while (d != NULL && (e = readdir(d)) != NULL) {
		names = mem_grow(names, &cap, n + 1, sizeof(*names));
		names[n++] = mem_strdup(e->d_name);
	}
	best = str_closest(name + area, (const char *const *)names, n);
	if (best != NULL)
		likely = mem_printf("%.*s%s", (int)area, name, best);
	while (n > 0)
		free(names[--n]);
	free(names);
	if (d != NULL)
		(void)closedir(d);
	free(path);
	return likely;
}

static int
no_such_zone(const char *dir, const char *name, struct err *err)
{
	DIR *d = opendir(dir);
	char *likely;

	if (d == NULL)
		return err_set(err, ERR_NOT_FOUND,
		    "there are no time zones in %s: install tzdata, or use "
		    "\"UTC\"",
		    dir);
	(void)closedir(d);
	likely = likely_name(dir, name);
	if (likely != NULL)
		(void)err_set(err, ERR_NOT_FOUND,
		    "there is no time zone '%s', did you mean '%s'?", name,
		    likely);
	else
		(void)err_set(err, ERR_NOT_FOUND,
		    "there is no time zone '%s': names are like "
		    "'Europe/Vienna'",
		    name);
	free(likely);
	return -1;
}

int
zone_open(
    const char *dir, const char *name, struct zone **ret_zone, struct err *err)
{
	struct buf bytes = BUF_INIT;
	struct err own = ERR_INIT;
	char *path;
	int rc;

	if (strcmp(name, "UTC") == 0) {
		*ret_zone = mem_zalloc(sizeof(struct zone));
		return 0;
	}
	if (!is_name(name))
		return err_set(err, ERR_INVALID,
		    "'%.*s' is no name of a time zone: they are like "
		    "'Europe/Vienna'",
		    ZONE_NAME_MAX, name);
	dir = dir == NULL ? ZONE_DIR : dir;
	path = mem_printf("%s/%s", dir, name);
	rc = file_read(path, MAX_FILE, &bytes, &own);
	if (rc == 0) {
		rc = zone_parse(bytes.data, bytes.len, ret_zone, NULL);
		/* Beside the zones are tables of them. */
		if (rc == -1)
			(void)err_set(
			    err, ERR_INVALID, "%s is no time zone file", path);
	} else if (own.code == ERR_NOT_FOUND || strchr(name, '/') == NULL ||
		   name[strlen(name) - 1] == '/') {
		rc = no_such_zone(dir, name, err);
	} else {
		(void)err_set(err, own.code, "%s", own.msg);
	}
	buf_free(&bytes);
	free(path);
	return rc;
}

/* ---- spans ----------------------------------------------------------------
 */

/* Around ${unix_s} by the footer's rules alone. */
static struct zone_span
footer_span(const struct zone *z, int64_t unix_s)
{
	struct zone_span span = {
	    INT64_MIN, INT64_MAX, z->standard_s, z->standard_s};
	int64_t year, y, at[2];
	int32_t after[2], before[2];
	size_t i, k, first;

	if (!z->has_rules)
		return span;
	year = civil_of(civil_floor_div(unix_s, CIVIL_DAY_S)).year;
	if (year < MIN_YEAR || year > MAX_YEAR)
		return span;
	/* Up to six changes, in order: the last one before is the span's
	 * start, the next its end. */
	for (y = year - 1; y <= year + 1; y++) {
		at[0] = rule_local(&z->to_summer, y) - z->standard_s;
		at[1] = rule_local(&z->to_standard, y) - z->summer_s;
		after[0] = before[1] = z->summer_s;
		after[1] = before[0] = z->standard_s;
		first = at[0] <= at[1] ? 0 : 1;
		for (k = 0; k < 2; k++) {
			i = k == 0 ? first : 1 - first;
			if (at[i] > unix_s) {
				span.end_unix_s = at[i];
				return span;
			}
			span.start_unix_s = at[i];
			span.offset_s = after[i];
			span.offset_before_s = before[i];
		}
	}
	return span;
}

/* How many transitions there were until then. */
static size_t
count_before(const struct zone *z, int64_t unix_s)
{
	size_t low = 0, high = z->n, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (z->transitions[middle].unix_s <= unix_s)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int32_t
offset_after(const struct zone *z, size_t n)
{
	return n == 0 ? z->first_offset_s : z->transitions[n - 1].offset_s;
}

struct zone_span
zone_span_at(const struct zone *z, int64_t unix_s)
{
	size_t n = count_before(z, unix_s);
	struct zone_span span;

	if (n < z->n || !z->has_footer) {
		span.offset_s = offset_after(z, n);
		span.start_unix_s =
		    n == 0 ? INT64_MIN : z->transitions[n - 1].unix_s;
		span.offset_before_s =
		    n == 0 ? span.offset_s : offset_after(z, n - 1);
		span.end_unix_s =
		    n < z->n ? z->transitions[n].unix_s : INT64_MAX;
		return span;
	}
	span = footer_span(z, unix_s);
	if (n > 0 && span.start_unix_s <= z->transitions[n - 1].unix_s) {
		span.start_unix_s = z->transitions[n - 1].unix_s;
		span.offset_before_s = offset_after(z, n - 1);
	}
	return span;
}
