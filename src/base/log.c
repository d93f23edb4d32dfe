#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"

#include "base/log.h"

static atomic_int log_format = LOG_FORMAT_JSON;
static atomic_int log_min = LOG_INFO;
static atomic_int log_colour;
static void (*log_redact)(void *cookie, struct buf *line);
static void *log_redact_cookie;

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *const level_colours[] = {
    "\033[2m", "\033[32m", "\033[33m", "\033[31m"};

void
log_setup(enum log_format format, enum log_level level, int colour)
{
	atomic_store(&log_format, (int)format);
	atomic_store(&log_min, (int)level);
	atomic_store(&log_colour, colour);
}

void
log_set_redactor(void (*redact)(void *cookie, struct buf *line), void *cookie)
{
	log_redact_cookie = cookie;
	log_redact = redact;
}

int
log_enabled(enum log_level level)
{
	return (int)level >= atomic_load(&log_min);
}

const char *
log_level_name(enum log_level level)
{
	return level_names[level];
}

int
log_level_parse(struct str name, enum log_level *ret)
{
	size_t i;

	for (i = 0; i < NELEMS(level_names); i++) {
		if (str_eq(name, str_of(level_names[i]))) {
			*ret = (enum log_level)i;
			return 0;
		}
	}
	return -1;
}

static void
put_json_line(struct buf *line, enum log_level level, const char *msg,
    const struct log_field *fields, size_t n)
{
	char time[CLOCK_RFC3339_SIZE];
	size_t i;

	buf_printf(line, "{\"time\":\"%s\",\"level\":\"%s\",\"msg\":",
	    clock_rfc3339(clock_unix_ms(), time), level_names[level]);
	str_put_json(line, str_of(msg));
	for (i = 0; i < n; i++) {
		if (fields[i].key == NULL)
			continue;
		buf_putc(line, ',');
		str_put_json(line, str_of(fields[i].key));
		buf_putc(line, ':');
		if (fields[i].kind == LOG_KIND_STR)
			str_put_json(line, fields[i].text);
		else if (fields[i].kind == LOG_KIND_INT)
			buf_printf(line, "%lld", (long long)fields[i].number);
		else
			buf_put(line, fields[i].text.data, fields[i].text.len);
	}
	buf_puts(line, "}\n");
}

/* Text for a person: quoted only where it would be unclear without. */
static void
put_pretty_text(struct buf *line, struct str s)
{
	size_t i;
	int plain = s.len > 0;

	for (i = 0; i < s.len && plain; i++)
		plain = s.data[i] != ' ' && s.data[i] != '"' &&
			s.data[i] != '=' && s.data[i] != '\n';
	if (!plain)
		buf_putc(line, '"');
	str_put_visible(line, s);
	if (!plain)
		buf_putc(line, '"');
}

/* A traceback and the like: lines of their own below. */
static int
is_block(const struct log_field *f)
{
	return f->key != NULL && f->kind == LOG_KIND_STR && f->text.len > 0 &&
	       memchr(f->text.data, '\n', f->text.len) != NULL;
}

static void
put_block(struct buf *line, struct str s)
{
	const char *nl;
	size_t n;

	while (s.len > 0) {
		nl = memchr(s.data, '\n', s.len);
		n = nl == NULL ? s.len : (size_t)(nl - s.data);
		buf_puts(line, "         ");
		str_put_visible(line, (struct str){s.data, n});
		buf_putc(line, '\n');
		n += nl != NULL;
		s.data += n;
		s.len -= n;
	}
}

static void
put_pretty_line(struct buf *line, enum log_level level, const char *msg,
    const struct log_field *fields, size_t n)
{
	int colour = atomic_load(&log_colour);
	time_t now = time(NULL);
	struct tm tm;
	size_t i;

	(void)localtime_r(&now, &tm);
	buf_printf(line, "%02d:%02d:%02d %s%-5s%s ", tm.tm_hour, tm.tm_min,
	    tm.tm_sec, colour ? level_colours[level] : "", level_names[level],
	    colour ? "\033[0m" : "");
	str_put_visible(line, str_of(msg));
	for (i = 0; i < n; i++) {
		if (fields[i].key == NULL || is_block(&fields[i]))
			continue;
		buf_printf(line, " %s", colour ? "\033[2m" : "");
		str_put_visible(line, str_of(fields[i].key));
		buf_printf(line, "=%s", colour ? "\033[0m" : "");
		if (fields[i].kind == LOG_KIND_STR)
			put_pretty_text(line, fields[i].text);
		else if (fields[i].kind == LOG_KIND_INT)
			buf_printf(line, "%lld", (long long)fields[i].number);
		else
			str_put_visible(line, fields[i].text);
	}
	buf_putc(line, '\n');
	for (i = 0; i < n; i++) {
		if (is_block(&fields[i]))
			put_block(line, fields[i].text);
	}
}

void
log_write(enum log_level level, const char *msg, const struct log_field *fields,
    size_t n)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct buf line = BUF_INIT;
	int saved_errno = errno;
	size_t done = 0;
	ssize_t w;

	if (!log_enabled(level))
		return;
	if (atomic_load(&log_format) == LOG_FORMAT_JSON)
		put_json_line(&line, level, msg, fields, n);
	else
		put_pretty_line(&line, level, msg, fields, n);
	if (log_redact != NULL)
		log_redact(log_redact_cookie, &line);

	/* A line longer than a pipe's atomic size must not be torn. */
	(void)pthread_mutex_lock(&lock);
	while (done < line.len) {
		w = write(STDERR_FILENO, line.data + done, line.len - done);
		if (w == -1 && errno != EINTR)
			break;
		done += w == -1 ? 0 : (size_t)w;
	}
	(void)pthread_mutex_unlock(&lock);
	buf_free(&line);
	errno = saved_errno;
}

void
log_line(enum log_level level, const struct log_field *line, size_t n)
{
	log_write(level, line[0].key, line + 1, n - 1);
}
