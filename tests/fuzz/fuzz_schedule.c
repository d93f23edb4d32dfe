/*
 * The first line is a cron expression, the rest a time zone file.  What is
 * accepted has due times that go forward and leave none out; a zone's spans
 * follow each other; what is refused says why.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "schedule/cron.h"
#include "schedule/zone.h"

#define DUE_TIMES 10

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(int truth)
{
	if (!truth)
		abort();
}

static void
check_spans(const struct zone *zone)
{
	struct zone_span span = zone_span_at(zone, 1700000000), next;
	int i;

	for (i = 0; i < 8 && span.end_unix_s != INT64_MAX; i++) {
		next = zone_span_at(zone, span.end_unix_s);
		require(next.start_unix_s == span.end_unix_s);
		require(next.end_unix_s > next.start_unix_s);
		span = next;
	}
}

static void
check_times(const struct cron *cron, const struct zone *zone)
{
	int64_t at = 1700000000, next;
	int i;

	for (i = 0; i < DUE_TIMES; i++, at = next) {
		next = cron_next(cron, zone, at);
		if (next == -1)
			break;
		require(next > at);
		require(cron_next(cron, zone, next - 1) == next);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const char *end = size == 0 ? NULL : memchr(text, '\n', size);
	size_t line = end == NULL ? size : (size_t)(end - text);
	struct zone *zone = NULL;
	struct err err = ERR_INIT;
	struct cron cron;
	int good;

	good = cron_parse((struct str){text, line}, &cron, &err) == 0;
	require(good || (err.code == ERR_INVALID && err.msg[0] != '\0'));
	if (end == NULL ||
	    zone_parse(end + 1, size - line - 1, &zone, &err) == -1)
		require(zone_open(NULL, "UTC", &zone, &err) == 0);
	check_spans(zone);
	if (good)
		check_times(&cron, zone);
	zone_free(zone);
	return 0;
}
