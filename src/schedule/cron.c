#include <string.h>

#include "base/err.h"
#include "schedule/civil.h"
#include "schedule/zone.h"

#include "schedule/cron.h"

#define MINUTE_S 60
#define HOUR_S 3600

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may",
    "jun", "jul", "aug", "sep", "oct", "nov", "dec"};
static const char *const weekday_names[] = {
    "sun", "mon", "tue", "wed", "thu", "fri", "sat"};

static const struct field {
	const char *name;
	unsigned int min;
	unsigned int max;
	const char *const *names; /* The first is ${min}; or NULL. */
	size_t nnames;
} fields[] = {
    {"minute", 0, 59, NULL, 0},
    {"hour", 0, 23, NULL, 0},
    {"day of the month", 1, 31, NULL, 0},
    {"month", 1, 12, month_names, NELEMS(month_names)},
    {"day of the week", 0, 7, weekday_names, NELEMS(weekday_names)},
};
enum {
	MINUTE,
	HOUR,
	DAY,
	MONTH,
	WEEKDAY
};

static const struct {
	const char *name;
	const char *text;
} nicknames[] = {
    {"@hourly", "0 * * * *"},
    {"@daily", "0 0 * * *"},
    {"@midnight", "0 0 * * *"},
    {"@weekly", "0 0 * * 0"},
    {"@monthly", "0 0 1 * *"},
    {"@yearly", "0 0 1 1 *"},
    {"@annually", "0 0 1 1 *"},
};

/* ---- reading --------------------------------------------------------------
 */

struct reader {
	struct str text;
	size_t at;
	const struct field *field;
	struct err *err;
};

/* What is read: a set of values of one field. */
struct set {
	uint64_t bits;
	int last; /* L was there. */
	int any;  /* It begins with '*'. */
};

static int
peek(const struct reader *r)
{
	return r->at < r->text.len ? (unsigned char)r->text.data[r->at] : -1;
}

static int
is_space(int c)
{
	return c == ' ' || c == '\t';
}

static int
is_letter(int c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static int
is_digit(int c)
{
	return c >= '0' && c <= '9';
}

/* The word of letters or digits at ${at}. */
static struct str
word_at(const struct reader *r, size_t at)
{
	size_t end = at;

	while (end < r->text.len &&
	       (is_letter(r->text.data[end]) || is_digit(r->text.data[end])))
		end++;
	return (struct str){r->text.data + at, end - at};
}

static int
unexpected(const struct reader *r, const char *wanted)
{
	int c = peek(r);

	if (c == -1 || is_space(c))
		return err_set(r->err, ERR_INVALID,
		    "column %zu: %s is missing in the field for the %s",
		    r->at + 1, wanted, r->field->name);
	return err_set(r->err, ERR_INVALID,
	    "column %zu: '%c' is not %s in the field for the %s", r->at + 1,
	    c >= ' ' && c < 127 ? c : '?', wanted, r->field->name);
}

/* Digits and nothing else, up to 9999. */
static int
read_digits(struct reader *r, unsigned int *ret)
{
	size_t from = r->at;
	unsigned int n = 0;

	while (is_digit(peek(r))) {
		n = n < 1000 ? n * 10 + (unsigned int)(peek(r) - '0') : 9999;
		r->at++;
	}
	*ret = n;
	return r->at > from ? 0 : unexpected(r, "a number");
}

/* A number or a name. */
static int
read_value(struct reader *r, unsigned int *ret)
{
	const struct field *f = r->field;
	size_t at = r->at, i;
	struct str word;

	if (is_letter(peek(r)) && f->names != NULL) {
		word = word_at(r, at);
		for (i = 0; i < f->nnames; i++) {
			if (!str_eq_nocase(word, str_of(f->names[i])))
				continue;
			*ret = f->min + (unsigned int)i;
			r->at += word.len;
			return 0;
		}
		return err_set(r->err, ERR_INVALID,
		    "column %zu: '%.*s' is no %s: names are %s to %s", at + 1,
		    (int)word.len, word.data, f->name, f->names[0],
		    f->names[f->nnames - 1]);
	}
	if (read_digits(r, ret) == -1)
		return -1;
	if (*ret < f->min || *ret > f->max)
		return err_set(r->err, ERR_INVALID,
		    "column %zu: %.*s is no %s: it is %u to %u", at + 1,
		    (int)(r->at - at), r->text.data + at, f->name, f->min,
		    f->max);
	return 0;
}

static int
read_step(struct reader *r, unsigned int *ret)
{
	size_t at = ++r->at;

	if (read_digits(r, ret) == -1)
		return -1;
	if (*ret == 0 || *ret > r->field->max)
		return err_set(r->err, ERR_INVALID,
		    "column %zu: a step of %.*s in the field for the %s: it is "
		    "1 to %u",
		    at + 1, (int)(r->at - at), r->text.data + at,
		    r->field->name, r->field->max);
	return 0;
}

/* One part of a list: *, a value, a range, each of the first and last with a
 * step. */
static int
read_part(struct reader *r, struct set *set)
{
	const struct field *f = r->field;
	unsigned int low = 0, high = 0, step = 1;
	size_t at = r->at;
	int is_range = 1;

	if (f == &fields[DAY] && str_eq_nocase(word_at(r, at), STR("L"))) {
		r->at++;
		set->last = 1;
		return 0;
	}
	if (peek(r) == '*') {
		r->at++;
		low = f->min;
		high = f == &fields[WEEKDAY] ? 6 : f->max;
	} else {
		if (read_value(r, &low) == -1)
			return -1;
		high = low;
		is_range = peek(r) == '-';
		if (is_range) {
			r->at++;
			if (read_value(r, &high) == -1)
				return -1;
			/* MON-SUN ends the week. */
			if (f == &fields[WEEKDAY] && high == 0 && low > 0)
				high = 7;
		}
		if (high < low)
			return err_set(r->err, ERR_INVALID,
			    "column %zu: the range %.*s goes backwards: write "
			    "two, with a comma between",
			    at + 1, (int)(r->at - at), r->text.data + at);
	}
	if (peek(r) == '/') {
		if (!is_range)
			return err_set(r->err, ERR_INVALID,
			    "column %zu: a step needs a range: write "
			    "%u-%u/... or */...",
			    r->at + 1, low, f->max);
		if (read_step(r, &step) == -1)
			return -1;
	}
	for (; low <= high && low < 64; low += step)
		set->bits |= 1ULL << (f == &fields[WEEKDAY] ? low % 7 : low);
	return 0;
}

static int
read_field(struct reader *r, struct set *set)
{
	*set = (struct set){0};
	while (is_space(peek(r)))
		r->at++;
	if (peek(r) == -1)
		return err_set(r->err, ERR_INVALID,
		    "column %zu: the field for the %s is missing: there are "
		    "five, minute hour day month weekday",
		    r->at + 1, r->field->name);
	set->any = peek(r) == '*';
	for (;;) {
		if (read_part(r, set) == -1)
			return -1;
		if (peek(r) != ',')
			break;
		r->at++;
	}
	if (peek(r) != -1 && !is_space(peek(r)))
		return unexpected(r, "a comma or a space");
	return 0;
}

/* Whether there is such a date at all. */
static int
comes(const struct cron *cron)
{
	int month, day;

	if (!cron->any_weekday || cron->last_day)
		return 1;
	for (month = 1; month <= 12; month++) {
		for (day = 1; day <= civil_month_days(2000, month); day++) {
			if (cron->months >> month & 1 && cron->days >> day & 1)
				return 1;
		}
	}
	return 0;
}

static int
read_nickname(struct str text, struct str *ret, struct err *err)
{
	size_t i;

	for (i = 0; i < NELEMS(nicknames); i++) {
		if (str_eq_nocase(text, str_of(nicknames[i].name))) {
			*ret = str_of(nicknames[i].text);
			return 0;
		}
	}
	return err_set(err, ERR_INVALID,
	    "column 1: '%.*s' is unknown: there are @hourly, @daily, "
	    "@midnight, @weekly, @monthly, @yearly and @annually",
	    (int)(text.len < 40 ? text.len : 40), text.data);
}

int
cron_parse(struct str text, struct cron *ret_cron, struct err *err)
{
	struct set sets[NELEMS(fields)];
	struct reader r = {text, 0, NULL, err};
	struct cron cron = {0};
	size_t i;

	if (text.len > 0 && text.data[0] == '@' &&
	    read_nickname(text, &r.text, err) == -1)
		return -1;
	for (i = 0; i < NELEMS(fields); i++) {
		r.field = &fields[i];
		if (read_field(&r, &sets[i]) == -1)
			return -1;
	}
	while (is_space(peek(&r)))
		r.at++;
	if (peek(&r) != -1)
		return err_set(err, ERR_INVALID,
		    "column %zu: there is more than the five fields minute "
		    "hour day month weekday",
		    r.at + 1);
	cron.minutes = sets[MINUTE].bits;
	cron.hours = (uint32_t)sets[HOUR].bits;
	cron.days = (uint32_t)sets[DAY].bits;
	cron.months = (uint32_t)sets[MONTH].bits;
	cron.weekdays = (uint32_t)sets[WEEKDAY].bits;
	cron.last_day = sets[DAY].last;
	cron.any_day = sets[DAY].any;
	cron.any_weekday = sets[WEEKDAY].any;
	cron.any_hour = sets[HOUR].any;
	if (!comes(&cron))
		return err_set(err, ERR_INVALID,
		    "its date never comes: no such day in those months");
	*ret_cron = cron;
	return 0;
}

/* ---- the next time --------------------------------------------------------
 */

int
cron_has_day(const struct cron *cron, int64_t days)
{
	struct civil c = civil_of(days);
	int day, weekday;

	if ((cron->months >> c.month & 1) == 0)
		return 0;
	day = (cron->days >> c.day & 1) ||
	      (cron->last_day && c.day == civil_month_days(c.year, c.month));
	weekday = (cron->weekdays >> civil_weekday(days) & 1) != 0;
	/* Where both are told, one of them is enough. */
	if (cron->any_day || cron->any_weekday)
		return day && weekday;
	return day || weekday;
}

/* The first bit of ${bits} from ${from} on, or -1. */
static int
bit_from(uint64_t bits, int from)
{
	bits = from > 63 ? 0 : bits >> from << from;
	return bits == 0 ? -1 : __builtin_ctzll(bits);
}

/* The first minute of a day from ${from} on that is due, or -1. */
static int
minute_from(const struct cron *cron, int from)
{
	int hour = from / 60, minute = from % 60, at;

	for (; (at = bit_from(cron->hours, hour)) != -1; hour = at + 1) {
		if (at > hour)
			minute = 0;
		hour = at;
		at = bit_from(cron->minutes, minute);
		if (at != -1)
			return hour * 60 + at;
		at = hour;
		minute = 0;
	}
	return -1;
}

/* The first local time from ${from_s} on, and before ${end_s}, or -1. */
static int64_t
next_local(const struct cron *cron, int64_t from_s, int64_t end_s)
{
	int64_t start_s =
	    civil_floor_div(from_s + MINUTE_S - 1, MINUTE_S) * MINUTE_S;
	int64_t day = civil_floor_div(start_s, CIVIL_DAY_S), at;
	int minute = (int)(start_s - day * CIVIL_DAY_S) / MINUTE_S, found;

	for (; day * CIVIL_DAY_S < end_s; day++, minute = 0) {
		if (!cron_has_day(cron, day))
			continue;
		found = minute_from(cron, minute);
		if (found == -1)
			continue;
		at = day * CIVIL_DAY_S + (int64_t)found * MINUTE_S;
		return at < end_s ? at : -1;
	}
	return -1;
}

int64_t
cron_next(
    const struct cron *cron, const struct zone *zone, int64_t after_unix_s)
{
	int64_t limit =
	    after_unix_s + (int64_t)CRON_MAX_YEARS * 366 * CIVIL_DAY_S;
	int64_t t = after_unix_s + 1, end, from, found;
	struct zone_span span;

	for (; t < limit; t = span.end_unix_s) {
		span = zone_span_at(zone, t);
		end = span.end_unix_s < limit ? span.end_unix_s : limit;
		from = t + span.offset_s;
		if (!cron->any_hour && span.offset_before_s < span.offset_s &&
		    t == span.start_unix_s &&
		    next_local(cron, t + span.offset_before_s, from) != -1)
			return t;
		/* What came before the clocks were put back is not due again.
		 */
		if (!cron->any_hour && span.offset_before_s > span.offset_s &&
		    from < span.start_unix_s + span.offset_before_s)
			from = span.start_unix_s + span.offset_before_s;
		found = next_local(cron, from, end + span.offset_s);
		if (found != -1)
			return found - span.offset_s;
	}
	return -1;
}
