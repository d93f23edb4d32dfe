#ifndef CONSOLE_QUERY_H_
#define CONSOLE_QUERY_H_

/*
 * What stands behind the question mark, and the filters that it can hold.
 *
 * Floor: 5 (console).  Private to its folder, and to its test.
 */

#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"
#include "store/store.h"

struct err;

/**
 * query_time(text, now_unix_ms, ret_unix_ms, err):
 * Read a time: RFC 3339, or an age ("15m", "7d").
 *
 * Errors:    ERR_INVALID      neither.
 */
int query_time(const char *text, uint64_t now_unix_ms, uint64_t *ret_unix_ms,
    struct err *err) ATTR_MUSTCHECK;

/* The filters of a list of deliveries, with the texts that they point to. */
enum query_text {
	QUERY_STATE,
	QUERY_RESOURCE,
	QUERY_ACTION,
	QUERY_SCRIPT,
	QUERY_INTEGRATION,
	QUERY_Q,
	QUERY_TEXTS
};

struct query_filter {
	char *texts[QUERY_TEXTS]; /* NULL: any. */
	uint64_t since_unix_ms;
	uint64_t until_unix_ms;
	uint64_t before_id;
	size_t limit; /* 0: not said. */
};

/**
 * query_filter_parse(query, now_unix_ms, ret_filter, err):
 * Read the filters.  An empty value is as good as none.
 *
 * Errors:    ERR_INVALID      no such filter (the closest one is suggested), or
 *                             not a value for it.
 * Ownership: the caller frees with query_filter_clear().
 */
int query_filter_parse(struct str query, uint64_t now_unix_ms,
    struct query_filter *ret_filter, struct err *err) ATTR_MUSTCHECK;
void query_filter_clear(struct query_filter *filter);

#endif /* !CONSOLE_QUERY_H_ */
