#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

/* Cut a UTF-8 sequence that vsnprintf() has cut in two. */
static void
trim_partial(char *msg, size_t cap, int wanted)
{
	size_t len;

	if (wanted < 0 || (size_t)wanted < cap)
		return;
	len = cap - 1;
	while (len > 0 && ((unsigned char)msg[len - 1] & 0xC0) == 0x80)
		len--;
	if (len > 0 && ((unsigned char)msg[len - 1] & 0xC0) == 0xC0)
		msg[len - 1] = '\0';
}

int
err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	int saved_errno = errno, n;
	va_list ap;

	if (err != NULL) {
		err->code = code;
		err->sys_errno = saved_errno;
		va_start(ap, fmt);
		n = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
		va_end(ap);
		trim_partial(err->msg, sizeof(err->msg), n);
	}

	errno = saved_errno;
	return -1;
}

int
err_prefix(struct err *err, const char *fmt, ...)
{
	int saved_errno = errno, n;
	char old[sizeof(err->msg)];
	size_t len;
	va_list ap;

	if (err != NULL) {
		(void)memcpy(old, err->msg, sizeof(old));
		va_start(ap, fmt);
		(void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
		va_end(ap);
		len = strlen(err->msg);
		n = snprintf(
		    err->msg + len, sizeof(err->msg) - len, ": %s", old);
		trim_partial(err->msg + len, sizeof(err->msg) - len, n);
	}

	errno = saved_errno;
	return -1;
}

const char *
err_code_name(enum err_code code)
{
	switch (code) {
	case ERR_NONE:
		return "none";
	case ERR_INVALID:
		return "invalid";
	case ERR_UNAUTH:
		return "unauth";
	case ERR_NOT_FOUND:
		return "not_found";
	case ERR_TOO_LARGE:
		return "too_large";
	case ERR_TIMEOUT:
		return "timeout";
	case ERR_UNAVAILABLE:
		return "unavailable";
	case ERR_RESOLVE:
		return "resolve";
	case ERR_CONNECT:
		return "connect";
	case ERR_TLS:
		return "tls";
	case ERR_BLOCKED:
		return "blocked";
	case ERR_INTERNAL:
		return "internal";
	}
	return "internal"; /* Not default: let -Wswitch find a missing case. */
}
