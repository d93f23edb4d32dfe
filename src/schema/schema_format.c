#include <string.h>

#include "schema/schema_internal.h"

static const char *const format_names[] = {
    [SCHEMA_FORMAT_NONE] = "",
    [SCHEMA_FORMAT_DATE_TIME] = "date-time",
    [SCHEMA_FORMAT_DATE] = "date",
    [SCHEMA_FORMAT_TIME] = "time",
    [SCHEMA_FORMAT_URI] = "uri",
    [SCHEMA_FORMAT_EMAIL] = "email",
    [SCHEMA_FORMAT_UUID] = "uuid",
    [SCHEMA_FORMAT_IPV4] = "ipv4",
    [SCHEMA_FORMAT_IPV6] = "ipv6",
    [SCHEMA_FORMAT_HOSTNAME] = "hostname",
};

enum schema_format
schema_format_find(struct str name)
{
	size_t i;

	for (i = 1; i < NELEMS(format_names); i++) {
		if (str_eq(name, str_of(format_names[i])))
			return (enum schema_format)i;
	}
	return SCHEMA_FORMAT_NONE;
}

const char *
schema_format_name(enum schema_format format)
{
	return format_names[format];
}

/* ---- small pieces -------------------------------------------------------- */

static int
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int
is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int
is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Whether ${c} is one of ${set}; a NUL never is. */
static int
is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

/* The first ${n} bytes, and the rest without them. */
static struct str
cut(struct str *s, size_t n)
{
	struct str head = {s->data, n};

	s->data += n;
	s->len -= n;
	return head;
}

/* Where ${c} is, or the length. */
static size_t
find(struct str s, char c)
{
	size_t i;

	for (i = 0; i < s.len && s.data[i] != c; i++)
		;
	return i;
}

/* ---- date and time, RFC 3339 --------------------------------------------- */

/* Take a number of ${n} digits; -1 if they are not there. */
static int
take_number(struct str *s, size_t n)
{
	int v = 0;
	size_t i;

	if (s->len < n)
		return -1;
	for (i = 0; i < n; i++) {
		if (!is_digit(s->data[i]))
			return -1;
		v = v * 10 + s->data[i] - '0';
	}
	(void)cut(s, n);
	return v;
}

static int
take_char(struct str *s, const char *set)
{
	if (s->len == 0 || !is_one_of(s->data[0], set))
		return -1;
	return cut(s, 1).data[0];
}

static int
take_date(struct str *s)
{
	static const int days[] = {
	    31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year, month, day, last;

	if ((year = take_number(s, 4)) == -1 || take_char(s, "-") == -1 ||
	    (month = take_number(s, 2)) == -1 || take_char(s, "-") == -1 ||
	    (day = take_number(s, 2)) == -1)
		return -1;
	if (month < 1 || month > 12 || day < 1)
		return -1;
	last = days[month - 1];
	if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
		last = 29;
	return day <= last ? 0 : -1;
}

static int
take_time(struct str *s)
{
	int hour, minute, second, sign, off_hour, off_minute, utc;

	if ((hour = take_number(s, 2)) == -1 || take_char(s, ":") == -1 ||
	    (minute = take_number(s, 2)) == -1 || take_char(s, ":") == -1 ||
	    (second = take_number(s, 2)) == -1)
		return -1;
	if (hour > 23 || minute > 59 || second > 60)
		return -1;
	if (take_char(s, ".") != -1) {
		if (take_number(s, 1) == -1)
			return -1;
		while (take_number(s, 1) != -1)
			;
	}
	utc = hour * 60 + minute;
	sign = take_char(s, "Zz+-");
	if (sign == -1)
		return -1;
	if (sign == '+' || sign == '-') {
		if ((off_hour = take_number(s, 2)) == -1 ||
		    take_char(s, ":") == -1 ||
		    (off_minute = take_number(s, 2)) == -1)
			return -1;
		if (off_hour > 23 || off_minute > 59)
			return -1;
		off_minute += off_hour * 60;
		utc += sign == '+' ? -off_minute : off_minute;
	}
	/* A leap second is the last of a day of UTC. */
	if (second == 60 && (utc + 24 * 60) % (24 * 60) != 24 * 60 - 1)
		return -1;
	return 0;
}

static int
is_date(struct str s)
{
	return take_date(&s) == 0 && s.len == 0;
}

static int
is_time(struct str s)
{
	return take_time(&s) == 0 && s.len == 0;
}

static int
is_date_time(struct str s)
{
	return take_date(&s) == 0 && take_char(&s, "Tt") != -1 &&
	       take_time(&s) == 0 && s.len == 0;
}

/* ---- addresses ----------------------------------------------------------- */

/* RFC 2673: four decimal numbers, no leading zeros. */
static int
is_ipv4(struct str s)
{
	int part, digits, value;

	for (part = 0; part < 4; part++) {
		if (part > 0 && take_char(&s, ".") == -1)
			return 0;
		value = 0;
		for (digits = 0; s.len > 0 && is_digit(s.data[0]); digits++) {
			if (digits == 3 || (digits > 0 && value == 0))
				return 0;
			value = value * 10 + take_number(&s, 1);
		}
		if (digits == 0 || value > 255)
			return 0;
	}
	return s.len == 0;
}

/* RFC 4291 section 2.2. */
static int
is_ipv6(struct str s)
{
	int groups = 0, gap = 0;
	size_t n;

	if (s.len >= 2 && s.data[0] == ':' && s.data[1] == ':') {
		gap = 1;
		(void)cut(&s, 2);
	}
	while (s.len > 0) {
		for (n = 0; n < s.len && is_hex(s.data[n]); n++)
			;
		if (n < s.len && s.data[n] == '.') {
			groups += 2;
			if (!is_ipv4(s))
				return 0;
			break;
		}
		if (n == 0 || n > 4)
			return 0;
		groups++;
		(void)cut(&s, n);
		if (s.len == 0)
			break;
		if (take_char(&s, ":") == -1 || s.len == 0)
			return 0;
		if (s.data[0] == ':') {
			if (gap)
				return 0;
			gap = 1;
			(void)cut(&s, 1);
		}
	}
	return gap ? groups < 8 : groups == 8;
}

static int
is_uuid(struct str s)
{
	size_t i;

	if (s.len != 36)
		return 0;
	for (i = 0; i < s.len; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (s.data[i] != '-')
				return 0;
		} else if (!is_hex(s.data[i])) {
			return 0;
		}
	}
	return 1;
}

/* ---- email, RFC 5321 section 4.1.2 --------------------------------------- */

static int
is_quoted(struct str s)
{
	size_t i;

	if (s.len < 2 || s.data[0] != '"' || s.data[s.len - 1] != '"')
		return 0;
	for (i = 1; i + 1 < s.len; i++) {
		if (s.data[i] < ' ' || s.data[i] > '~' || s.data[i] == '"')
			return 0;
		if (s.data[i] == '\\' && ++i + 1 >= s.len)
			return 0;
		if (s.data[i] < ' ' || s.data[i] > '~')
			return 0;
	}
	return 1;
}

static int
is_dot_string(struct str s)
{
	char before = '.';
	size_t i;

	for (i = 0; i < s.len; before = s.data[i++]) {
		if (s.data[i] == '.' && before == '.')
			return 0;
		if (s.data[i] != '.' && !is_alpha(s.data[i]) &&
		    !is_digit(s.data[i]) &&
		    !is_one_of(s.data[i], "!#$%&'*+-/=?^_`{|}~"))
			return 0;
	}
	return before != '.';
}

static int
is_email(struct str s)
{
	struct str local;
	size_t at = s.len;

	/* The last one: a quoted local part may have others. */
	while (at > 0 && s.data[at - 1] != '@')
		at--;
	if (at == 0)
		return 0;
	local = cut(&s, at);
	local.len--;
	if (local.len == 0 || local.len > 64)
		return 0;
	if (!is_dot_string(local) && !is_quoted(local))
		return 0;
	if (s.len < 2 || s.data[0] != '[' || s.data[s.len - 1] != ']')
		return schema_hostname_check(s);
	s = (struct str){s.data + 1, s.len - 2};
	if (s.len > 5 && str_eq_nocase((struct str){s.data, 5}, STR("IPv6:")))
		return is_ipv6((struct str){s.data + 5, s.len - 5});
	return is_ipv4(s);
}

/* ---- uri, RFC 3986 ------------------------------------------------------- */

/* Whether all are unreserved, sub-delims, percent-encoded or in ${more}. */
static int
is_made_of(struct str s, const char *more)
{
	size_t i;

	for (i = 0; i < s.len; i++) {
		if (s.data[i] == '%') {
			if (s.len - i < 3 || !is_hex(s.data[i + 1]) ||
			    !is_hex(s.data[i + 2]))
				return 0;
			i += 2;
		} else if (!is_alpha(s.data[i]) && !is_digit(s.data[i]) &&
			   !is_one_of(s.data[i], "-._~!$&'()*+,;=") &&
			   !is_one_of(s.data[i], more)) {
			return 0;
		}
	}
	return 1;
}

/* "v1.anything", what may come after IPv6. */
static int
is_ip_future(struct str s)
{
	size_t dot = find(s, '.'), i;

	if (s.len < 1 || (s.data[0] != 'v' && s.data[0] != 'V') || dot < 2 ||
	    dot + 1 >= s.len)
		return 0;
	for (i = 1; i < dot; i++) {
		if (!is_hex(s.data[i]))
			return 0;
	}
	return find(s, '%') == s.len && is_made_of(s, ":");
}

static int
is_authority(struct str s)
{
	size_t at = find(s, '@'), i;
	struct str host;

	if (at < s.len) {
		if (!is_made_of(cut(&s, at), ":"))
			return 0;
		(void)cut(&s, 1);
	}
	if (s.len > 0 && s.data[0] == '[') {
		i = find(s, ']');
		if (i == s.len)
			return 0;
		host = cut(&s, i + 1);
		host = (struct str){host.data + 1, host.len - 2};
		if (!is_ipv6(host) && !is_ip_future(host))
			return 0;
	} else if (!is_made_of(cut(&s, find(s, ':')), "")) {
		return 0;
	}
	if (s.len == 0)
		return 1;
	if (s.data[0] != ':')
		return 0;
	for (i = 1; i < s.len; i++) {
		if (!is_digit(s.data[i]))
			return 0;
	}
	return 1;
}

static int
is_uri(struct str s)
{
	struct str scheme, rest;
	size_t i;

	i = find(s, ':');
	if (i == s.len)
		return 0;
	scheme = cut(&s, i);
	(void)cut(&s, 1);
	if (scheme.len == 0 || !is_alpha(scheme.data[0]))
		return 0;
	for (i = 1; i < scheme.len; i++) {
		if (!is_alpha(scheme.data[i]) && !is_digit(scheme.data[i]) &&
		    !is_one_of(scheme.data[i], "+-."))
			return 0;
	}

	/* From the end: fragment, query; then authority and path. */
	i = find(s, '#');
	rest = (struct str){s.data + i, s.len - i};
	s.len = i;
	if (rest.len > 0 &&
	    !is_made_of((struct str){rest.data + 1, rest.len - 1}, ":@/?"))
		return 0;
	i = find(s, '?');
	rest = (struct str){s.data + i, s.len - i};
	s.len = i;
	if (rest.len > 0 &&
	    !is_made_of((struct str){rest.data + 1, rest.len - 1}, ":@/?"))
		return 0;
	if (s.len >= 2 && s.data[0] == '/' && s.data[1] == '/') {
		(void)cut(&s, 2);
		if (!is_authority(cut(&s, find(s, '/'))))
			return 0;
	}
	return is_made_of(s, ":@/");
}

int
schema_format_check(enum schema_format format, struct str s)
{
	switch (format) {
	case SCHEMA_FORMAT_DATE_TIME:
		return is_date_time(s);
	case SCHEMA_FORMAT_DATE:
		return is_date(s);
	case SCHEMA_FORMAT_TIME:
		return is_time(s);
	case SCHEMA_FORMAT_URI:
		return is_uri(s);
	case SCHEMA_FORMAT_EMAIL:
		return is_email(s);
	case SCHEMA_FORMAT_UUID:
		return is_uuid(s);
	case SCHEMA_FORMAT_IPV4:
		return is_ipv4(s);
	case SCHEMA_FORMAT_IPV6:
		return is_ipv6(s);
	case SCHEMA_FORMAT_HOSTNAME:
		return schema_hostname_check(s);
	case SCHEMA_FORMAT_NONE:
		break;
	}
	return 1;
}
