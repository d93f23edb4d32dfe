/*
 * moonpost tail: what happens, as it happens.
 */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "net/httpc.h"

#include "config/config.h"
#include "config/option.h"

#include "cli/client.h"

/* A host that was there may be restarted: tries to find it, and between. */
#define TRIES 20
#define BETWEEN_MS 500

/* An event that is longer is none of ours. */
#define EVENT_MAX (1U << 20)

struct tail {
	const struct client *client;
	struct buf line; /* Not complete yet. */
	struct buf name;
	struct buf data;
	struct buf id; /* Of the event before. */
	struct jdoc doc;
	struct buf refused; /* What was answered instead of a stream. */
	int streaming;      /* Lines of a stream came. */
};

/* Ctrl-C is how it is ended.  Every line that is complete was written. */
static void
stop_cb(int signo)
{
	(void)signo;
	_exit(CMD_GOOD);
}

/* ---- one event
 * ----------------------------------------------------------------
 */

static void
put_word(struct buf *out, const struct jval *event, const char *name)
{
	buf_putc(out, ' ');
	client_put_value(out, jdoc_gets(event, name));
}

static void
put_now(struct buf *out)
{
	struct tm tm;
	uint64_t now = clock_unix_ms();
	time_t seconds = (time_t)(now / 1000);

	(void)localtime_r(&seconds, &tm);
	buf_printf(out, "%02d:%02d:%02d.%03u ", tm.tm_hour, tm.tm_min,
	    tm.tm_sec, (unsigned int)(now % 1000));
}

/* "14:07:00.123 job 42 triage on_issue done" */
static void
print_event(const char *name, const struct jval *event)
{
	struct str state = jdoc_get_str(event, "state");
	struct str error = jdoc_get_str(event, "error");
	char *text = mem_strndup(state.data, state.len);
	int style = client_style_of(state);
	struct buf out = BUF_INIT;

	put_now(&out);
	buf_puts(&out, name);
	if (strcmp(name, "delivery") == 0) {
		put_word(&out, event, "id");
		put_word(&out, event, "resource");
		put_word(&out, event, "action");
	} else if (strcmp(name, "job") == 0) {
		put_word(&out, event, "delivery");
		put_word(&out, event, "script");
		put_word(&out, event, "handler");
	} else if (strcmp(name, "script") == 0) {
		put_word(&out, event, "name");
	}
	buf_putc(&out, ' ');
	cmd_put_visible(stdout, (struct str){out.data, out.len});
	if (style == -1)
		cmd_put_visible(stdout, state);
	else
		cmd_styled(
		    stdout, cmd_colour(stdout), (enum cmd_style)style, text);
	if (jdoc_gets(event, "paused") != NULL &&
	    jval_kind(jdoc_gets(event, "paused")) == JDOC_TRUE)
		(void)fputs(", paused", stdout);
	if (error.len > 0) {
		(void)fputs(": ", stdout);
		cmd_put_visible(stdout, error);
	}
	(void)fputc('\n', stdout);
	buf_free(&out);
	free(text);
}

static void
take_event(struct tail *t)
{
	const char *name = buf_text(&t->name);

	if (t->name.len == 0 || t->data.len == 0)
		return;
	if (strcmp(name, "reset") == 0) {
		(void)fputs("moonpost: some events were missed\n", stderr);
	} else if (jdoc_parse(&t->doc, t->data.data, t->data.len, NULL, NULL) ==
		   0) {
		if (t->client->call->config->json)
			(void)printf("{\"event\":\"%s\",\"data\":%s}\n", name,
			    buf_text(&t->data));
		else
			print_event(name, jdoc_root(&t->doc));
	}
	(void)fflush(stdout);
}

/* ---- the stream
 * ----------------------------------------------------------------
 */

/* The value of the field ${name} of a line, or NULL. */
static const char *
field(const char *line, const char *name)
{
	size_t len = strlen(name);

	if (strncmp(line, name, len) != 0 || line[len] != ':')
		return NULL;
	return line + len + 1 + (line[len + 1] == ' ');
}

static void
take_line(struct tail *t)
{
	const char *line = buf_text(&t->line), *value;

	if (t->line.len == 0) {
		take_event(t);
		buf_reset(&t->name);
		buf_reset(&t->data);
	} else if ((value = field(line, "event")) != NULL) {
		buf_reset(&t->name);
		buf_puts(&t->name, value);
	} else if ((value = field(line, "data")) != NULL) {
		buf_puts(&t->data, value);
	} else if ((value = field(line, "id")) != NULL) {
		buf_reset(&t->id);
		buf_puts(&t->id, value);
	}
}

static int
piece_cb(void *cookie, struct str piece)
{
	struct tail *t = cookie;
	const char *end;
	size_t len;

	/* A refusal is one JSON object; a stream never begins like one. */
	if (!t->streaming &&
	    (t->refused.len > 0 || (piece.len > 0 && piece.data[0] == '{'))) {
		buf_put(&t->refused, piece.data, piece.len);
		return t->refused.len > EVENT_MAX;
	}
	t->streaming = 1;
	while (piece.len > 0) {
		end = memchr(piece.data, '\n', piece.len);
		len = end == NULL ? piece.len : (size_t)(end - piece.data);
		buf_put(&t->line, piece.data, len);
		if (t->line.len > EVENT_MAX || t->data.len > EVENT_MAX)
			return 1;
		if (end != NULL) {
			take_line(t);
			buf_reset(&t->line);
			len++;
		}
		piece.data += len;
		piece.len -= len;
	}
	return 0;
}

/* Follow until the connection ends.  Returns CMD_GOOD then. */
static int
follow(struct tail *t, struct err *err)
{
	const struct client *client = t->client;
	char *url = mem_printf("%s/api/events", client->url);
	char *last = mem_printf("Last-Event-ID: %s", buf_text(&t->id));
	const char *headers[] = {client->authorization, last};
	struct httpc_request request = {
	    .url = url, .headers = headers, .nheaders = t->id.len > 0 ? 2 : 1};
	unsigned int status = 0;
	int rc, result = CMD_GOOD;

	buf_reset(&t->line);
	buf_reset(&t->name);
	buf_reset(&t->data);
	buf_reset(&t->refused);
	t->streaming = 0;
	rc = httpc_stream(&request, piece_cb, t, &status, err);
	if (rc == -1 && status == 0)
		result = CMD_UNREACHABLE;
	else if (status != 200)
		result = client_refused(client, status,
		    (struct str){buf_text(&t->refused), t->refused.len});
	free(url);
	free(last);
	return result;
}

static void
wait_a_moment(void)
{
	struct timespec ts = {0, BETWEEN_MS * 1000000L};

	(void)nanosleep(&ts, NULL);
}

static int
run(const struct cmd_call *call)
{
	const struct sigaction stop = {.sa_handler = stop_cb};
	struct tail tail = {.client = NULL};
	struct client client;
	struct err err = ERR_INIT;
	int status, met = 0, tries = 0;

	(void)sigaction(SIGINT, &stop, NULL);
	(void)sigaction(SIGTERM, &stop, NULL);
	status = client_open(call, &client);
	tail.client = &client;

	/* A host that is being restarted is waited for. */
	while (status == CMD_GOOD) {
		status = follow(&tail, &err);
		if (status == CMD_GOOD && tail.streaming) {
			met = 1;
			tries = 0;
		} else if (status == CMD_UNREACHABLE &&
			   (!met || ++tries == TRIES)) {
			status = err.code == ERR_NONE
				     ? status
				     : client_unreachable(&client, &err);
			break;
		} else if (status != CMD_UNREACHABLE) {
			break;
		}
		status = CMD_GOOD;
		wait_a_moment();
	}
	buf_free(&tail.line);
	buf_free(&tail.name);
	buf_free(&tail.data);
	buf_free(&tail.id);
	buf_free(&tail.refused);
	jdoc_free(&tail.doc);
	client_close(&client);
	return status;
}

const struct cmd_entry cmd_tail = {
    .name = "tail",
    .usage = "[options]",
    .help = "follow what happens, until Ctrl-C",
    .about =
	"Print a line for every delivery that comes in, every job that runs "
	"and ends, and every script that changes, as it happens. A host that "
	"is restarted is waited for. With --json each line is an object with "
	"event and data.",
    .examples = "moonpost tail\n"
		"moonpost tail --json | jq 'select(.data.state == \"dead\")'",
    .options = OPTION_FOR_TAIL,
    .max_args = 0,
    .run = run,
};
