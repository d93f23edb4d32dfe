#ifndef BASE_CLOCK_H_
#define BASE_CLOCK_H_

/*
 * Time: monotonic for waiting, wall clock for records, CPU for limits.
 *
 * Floor: 0 (base).
 */

#include <stddef.h>
#include <stdint.h>

/* "2026-11-23T14:07:00.123Z" and its NUL. */
#define CLOCK_RFC3339_SIZE 25

/* Now, on the clock that never jumps; only differences mean something. */
uint64_t clock_mono_ms(void);
uint64_t clock_mono_ns(void);

/* Now, since 1970-01-01 UTC. */
uint64_t clock_unix_ms(void);

/* CPU time that the calling thread has used. */
uint64_t clock_thread_cpu_ns(void);

/**
 * clock_rfc3339(unix_ms, ret_text):
 * Write a time as RFC 3339 UTC with milliseconds.
 *
 * Returns:   ${ret_text}.
 * Thread:    any.
 */
char *clock_rfc3339(uint64_t unix_ms, char ret_text[static CLOCK_RFC3339_SIZE]);

/**
 * clock_parse_rfc3339(s, len, ret_unix_ms):
 * Read an RFC 3339 date-time (section 5.6), with any offset and any number of
 * fraction digits; a leap second counts as the second before it.
 *
 * Returns:   0, or -1 if it is not one, or before 1970.
 * Thread:    any.
 */
int clock_parse_rfc3339(const char *s, size_t len, uint64_t *ret_unix_ms)
    __attribute__((warn_unused_result));

#endif /* !BASE_CLOCK_H_ */
