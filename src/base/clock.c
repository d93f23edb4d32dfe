#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

static uint64_t
read_ns(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

uint64_t
clock_mono_ms(void)
{
	return read_ns(CLOCK_MONOTONIC) / 1000000U;
}

uint64_t
clock_mono_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

uint64_t
clock_unix_ms(void)
{
	return read_ns(CLOCK_REALTIME) / 1000000U;
}

uint64_t
clock_thread_cpu_ns(void)
{
	return read_ns(CLOCK_THREAD_CPUTIME_ID);
}

char *
clock_rfc3339(uint64_t unix_ms, char ret_text[static CLOCK_RFC3339_SIZE])
{
	time_t s = (time_t)(unix_ms / 1000);
	struct tm tm;
	char text[80];

	/* Years past 9999 do not fit the format; nobody will see them. */
	(void)gmtime_r(&s, &tm);
	(void)snprintf(text, sizeof(text),
	    "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", (tm.tm_year + 1900) % 10000,
	    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
	    (unsigned int)(unix_ms % 1000));
	(void)memcpy(ret_text, text, CLOCK_RFC3339_SIZE - 1);
	ret_text[CLOCK_RFC3339_SIZE - 1] = '\0';
	return ret_text;
}

/* Read exactly ${n} digits.  Return the value, or -1. */
static int
digits(const char *s, size_t n)
{
	int v = 0;

	for (; n > 0; n--, s++) {
		if (*s < '0' || *s > '9')
			return -1;
		v = v * 10 + (*s - '0');
	}
	return v;
}

static int
month_days(int year, int month)
{
	static const int days[] = {
	    31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

int
clock_parse_rfc3339(const char *s, size_t len, uint64_t *ret_unix_ms)
{
	int year, month, day, hour, min, sec, oh, om;
	unsigned int ms = 0, scale = 100;
	int64_t t, offset = 0;
	struct tm tm;
	size_t i;

	/* date-time = YYYY-MM-DD "T" HH:MM:SS [.fraction] ("Z" / +HH:MM) */
	if (len < 20 || s[4] != '-' || s[7] != '-' ||
	    (s[10] != 'T' && s[10] != 't') || s[13] != ':' || s[16] != ':')
		return -1;
	year = digits(s, 4);
	month = digits(s + 5, 2);
	day = digits(s + 8, 2);
	hour = digits(s + 11, 2);
	min = digits(s + 14, 2);
	sec = digits(s + 17, 2);
	if (year < 1970 || month < 1 || month > 12 || day < 1 ||
	    day > month_days(year, month) || hour < 0 || hour > 23 || min < 0 ||
	    min > 59 || sec < 0 || sec > 60)
		return -1;
	i = 19;
	if (s[i] == '.') {
		for (i++; i < len && s[i] >= '0' && s[i] <= '9'; i++) {
			ms += (unsigned int)(s[i] - '0') * scale;
			scale /= 10;
		}
		if (i == 20)
			return -1;
	}
	if (i < len && (s[i] == 'Z' || s[i] == 'z')) {
		i++;
	} else if (len - i == 6 && (s[i] == '+' || s[i] == '-') &&
		   s[i + 3] == ':') {
		oh = digits(s + i + 1, 2);
		om = digits(s + i + 4, 2);
		if (oh < 0 || oh > 23 || om < 0 || om > 59)
			return -1;
		offset = (oh * 60 + om) * 60;
		if (s[i] == '-')
			offset = -offset;
		i += 6;
	}
	if (i != len)
		return -1;

	(void)memset(&tm, 0, sizeof(tm));
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	tm.tm_mday = day;
	tm.tm_hour = hour;
	tm.tm_min = min;
	tm.tm_sec = sec == 60 ? 59 : sec;
	t = (int64_t)timegm(&tm) - offset;
	if (t < 0)
		return -1;
	*ret_unix_ms = (uint64_t)t * 1000 + ms;
	return 0;
}
