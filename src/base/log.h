#ifndef BASE_LOG_H_
#define BASE_LOG_H_

/*
 * The log: one line an event on standard error, as JSON for machines or
 * coloured text for people.  A line is a short fixed message and named fields:
 *
 *	log_info("job done", LOG_STR("delivery", id), LOG_INT("duration_ms",
 *ms));
 *	{"time":"...","level":"info","msg":"job
 *done","delivery":"42","duration_ms":3} 14:07:00 info  job done delivery=42
 *duration_ms=3
 *
 * Whoever decides what to do about an event logs it, so nothing below floor 5
 * does.  Secrets never appear: log_set_redactor() is the last line of defence.
 *
 * Floor: 0 (base).
 */

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct buf;
struct err;

enum log_level {
	LOG_DEBUG,
	LOG_INFO,
	LOG_WARN,
	LOG_ERROR
};
enum log_format {
	LOG_FORMAT_JSON,
	LOG_FORMAT_PRETTY
};

enum log_kind {
	LOG_KIND_STR,
	LOG_KIND_INT,
	LOG_KIND_JSON, /* A JSON value as text, already valid and compact. */
};

struct log_field {
	const char *key; /* NULL: skip this field. */
	enum log_kind kind;
	struct str text;
	int64_t number;
};

#define LOG_STR(key, s)                                                        \
	{                                                                      \
		(key), LOG_KIND_STR, str_of(s), 0                              \
	}
#define LOG_STRN(key, s, len)                                                  \
	{                                                                      \
		(key), LOG_KIND_STR, {(s), (len)}, 0                           \
	}
#define LOG_INT(key, n)                                                        \
	{                                                                      \
		(key), LOG_KIND_INT, {NULL, 0}, (int64_t)(n)                   \
	}
#define LOG_JSON(key, s, len)                                                  \
	{                                                                      \
		(key), LOG_KIND_JSON, {(s), (len)}, 0                          \
	}
/* The field only if ${s} is not NULL. */
#define LOG_OPT(key, s)                                                        \
	{                                                                      \
		(s) == NULL ? NULL : (key), LOG_KIND_STR, str_of(s), 0         \
	}

/* The trailing comma of these four lets a message stand without a field. */
#define LOG_CALL(level, msg, ...)                                              \
	log_line((level),                                                      \
	    (const struct log_field[]){                                        \
		{(msg), LOG_KIND_STR, {NULL, 0}, 0}, __VA_ARGS__},             \
	    sizeof((const struct log_field[]){                                 \
		{(msg), LOG_KIND_STR, {NULL, 0}, 0}, __VA_ARGS__}) /           \
		sizeof(struct log_field))
#define log_debug(...) LOG_CALL(LOG_DEBUG, __VA_ARGS__, )
#define log_info(...) LOG_CALL(LOG_INFO, __VA_ARGS__, )
#define log_warn(...) LOG_CALL(LOG_WARN, __VA_ARGS__, )
#define log_error(...) LOG_CALL(LOG_ERROR, __VA_ARGS__, )

/**
 * log_setup(format, level, colour):
 * Say how lines look and from which level on they are written.
 *
 * Thread:    once at start and at a reload; any.
 */
void log_setup(enum log_format format, enum log_level level, int colour);

/**
 * log_set_redactor(redact, cookie):
 * Have ${redact}(${cookie}, line) look at every finished line and replace the
 * secrets in it.  It must be safe to call from every thread.
 *
 * Ownership: keeps ${cookie}.
 */
void log_set_redactor(
    void (*redact)(void *cookie, struct buf *line), void *cookie);

/* Whether a line of ${level} would be written. */
int log_enabled(enum log_level level);

/**
 * log_write(level, msg, fields, n):
 * Write one line, whole, whatever other threads write.  Use the macros above
 * where the fields are known in advance.
 *
 * Ownership: borrows everything.
 * Thread:    any.  Blocks if standard error does.
 */
void log_write(enum log_level level, const char *msg,
    const struct log_field *fields, size_t n);

/* What the macros call: as log_write(), the key of the first is the message. */
void log_line(enum log_level level, const struct log_field *line, size_t n);

/* The name of a level ("info"), and the level of a name, or -1. */
const char *log_level_name(enum log_level level);
int log_level_parse(struct str name, enum log_level *ret)
    __attribute__((warn_unused_result));

#endif /* !BASE_LOG_H_ */
