#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/form.h"
#include "base/mem.h"

#include "console/query.h"

/* Of a page, whatever is asked for. */
#define LIMIT_MAX 500

/* Ids are positive 64-bit numbers with room for those of their jobs. */
#define ID_MAX ((uint64_t)INT64_MAX >> 10)

static const char *const names[] = {"state", "resource", "action", "script",
    "integration", "q", "since", "until", "limit", "before"};

int
query_time(const char *text, uint64_t now_unix_ms, uint64_t *ret_unix_ms,
    struct err *err)
{
	size_t len = strlen(text);
	char *copy = mem_strdup(text);
	uint64_t ms;
	int rc = -1;

	/* The plus of an offset that was not encoded came as a blank. */
	if (len > 6 && copy[len - 6] == ' ')
		copy[len - 6] = '+';
	if (clock_parse_rfc3339(copy, len, ret_unix_ms) == 0) {
		rc = 0;
	} else if (str_parse_duration(str_of(copy), &ms, NULL) == 0) {
		*ret_unix_ms = ms < now_unix_ms ? now_unix_ms - ms : 0;
		rc = 0;
	} else {
		(void)err_set(err, ERR_INVALID,
		    "'%.60s' is neither an age (15m, 1h, 7d) nor a time "
		    "(2026-01-31T12:00:00Z)",
		    text);
	}
	free(copy);
	return rc;
}

static int
take_number(const char *name, const char *value, uint64_t max, uint64_t *ret,
    struct err *err)
{
	if (str_parse_u64(str_of(value), max, ret) == 0 && *ret > 0)
		return 0;
	return err_set(err, ERR_INVALID, "%s: '%.40s' is not a number for it",
	    name, value);
}

static int
take(struct query_filter *f, const char *name, const char *value,
    uint64_t now_unix_ms, struct err *err)
{
	enum store_state state;
	const char *meant;
	uint64_t n;
	size_t i;

	for (i = 0; i < NELEMS(names) && strcmp(name, names[i]) != 0; i++)
		continue;
	if (i == NELEMS(names)) {
		meant = str_closest(name, names, NELEMS(names));
		return err_set(err, ERR_INVALID,
		    "there is no filter '%.40s'%s%s%s", name,
		    meant == NULL ? "" : "; did you mean '",
		    meant == NULL ? "" : meant, meant == NULL ? "" : "'?");
	}
	if (value[0] == '\0')
		return 0;
	if (i < QUERY_TEXTS) {
		if (i == QUERY_STATE && store_state_parse(value, &state) == -1)
			return err_set(err, ERR_INVALID,
			    "state: '%.40s' is none of pending, running, "
			    "retrying, done, dropped, dead, invalid, unhandled",
			    value);
		free(f->texts[i]);
		f->texts[i] = mem_strdup(value);
		return 0;
	}
	if (strcmp(name, "since") == 0 || strcmp(name, "until") == 0) {
		if (query_time(value, now_unix_ms,
			name[0] == 's' ? &f->since_unix_ms : &f->until_unix_ms,
			err) == -1)
			return err_prefix(err, "%s", name);
		return 0;
	}
	if (strcmp(name, "before") == 0)
		return take_number(name, value, ID_MAX, &f->before_id, err);
	if (take_number(name, value, UINT64_MAX, &n, err) == -1)
		return -1;
	f->limit = n > LIMIT_MAX ? LIMIT_MAX : (size_t)n;
	return 0;
}

int
query_filter_parse(struct str query, uint64_t now_unix_ms,
    struct query_filter *ret_filter, struct err *err)
{
	struct query_filter f = {.limit = 0};
	struct buf name = BUF_INIT, value = BUF_INIT;
	int rc;

	while ((rc = form_next(&query, &name, &value)) == 1) {
		if (take(&f, buf_text(&name), buf_text(&value), now_unix_ms,
			err) == -1)
			break;
	}
	if (rc == -1)
		(void)err_set(err, ERR_INVALID,
		    "the query is not encoded as it should be");
	buf_free(&name);
	buf_free(&value);
	if (rc != 0) {
		query_filter_clear(&f);
		return -1;
	}
	*ret_filter = f;
	return 0;
}

void
query_filter_clear(struct query_filter *filter)
{
	size_t i;

	for (i = 0; i < QUERY_TEXTS; i++) {
		free(filter->texts[i]);
		filter->texts[i] = NULL;
	}
}
