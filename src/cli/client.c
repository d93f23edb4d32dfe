#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/form.h"
#include "base/mem.h"

#include "app/app.h"
#include "app/console.h"
#include "config/config.h"
#include "config/option.h"
#include "net/httpc.h"

#include "cli/client.h"

/* Reloads wait for what is tried; lists are cut off by the store. */
#define TIMEOUT_MS 60000

/* The last column gets what is left of the line, at least so much. */
#define LAST_WIDTH 20
#define LINE_WIDTH 120

struct client_cell {
	char *text;
	size_t width; /* In characters. */
	int style;
};

/* ---- the console -----------------------------------------------------------
 */

/* Where it is, as "HOST:PORT". */
static char *
find_address(const struct config *config)
{
	char *path = app_console_address_file(config);
	const char *address = config->console.text, *port;
	struct buf text = BUF_INIT;
	char *found;

	if (config_source(config, option_find_key("console")) ==
		CONFIG_DEFAULT &&
	    file_read(path, 256, &text, NULL) == 0 && text.len > 0)
		address = buf_text(&text);

	/* What listens everywhere is here as well. */
	port = strrchr(address, ':');
	if (strncmp(address, "0.0.0.0:", 8) == 0)
		found = mem_printf("127.0.0.1%s", port);
	else if (strncmp(address, "[::]:", 5) == 0)
		found = mem_printf("[::1]%s", port);
	else
		found = mem_strdup(address);
	buf_free(&text);
	free(path);
	return found;
}

/* There is no token: does anybody listen at all? */
static int
no_token(struct client *client, const struct err *why)
{
	char *url = mem_printf("%s/healthz", client->url);
	struct httpc_request request = {.url = url};
	struct httpc_answer answer = {.status = 0};
	struct err err = ERR_INIT;
	int status;

	if (httpc_call(&request, &answer, &err) == -1) {
		status = client_unreachable(client, &err);
	} else {
		(void)err_set(&err, ERR_NOT_FOUND,
		    "no token for the console at %s: %s; name the data folder "
		    "of the host with --data, or the token with "
		    "--console-token",
		    client->url, why->msg);
		status = cmd_fail(CMD_UNREACHABLE, &err);
	}
	httpc_answer_free(&answer);
	free(url);
	return status;
}

int
client_open(const struct cmd_call *call, struct client *ret_client)
{
	const struct config *config = call->config;
	struct err err = ERR_INIT;
	char *address, *token;

	*ret_client = (struct client){.call = call};
	if (config->console.host == NULL)
		return cmd_misuse(call,
		    "--console is off: name the address of a host's console");
	address = find_address(config);
	ret_client->url = mem_printf("http://%s", address);
	free(address);
	if (app_console_token(config, 0, &token, &err) == -1)
		return no_token(ret_client, &err);
	if (strpbrk(token, "\r\n") != NULL)
		token[strcspn(token, "\r\n")] = '\0';
	ret_client->authorization =
	    mem_printf("Authorization: Bearer %s", token);
	explicit_bzero(token, strlen(token));
	free(token);
	return CMD_GOOD;
}

void
client_close(struct client *client)
{
	free(client->url);
	if (client->authorization != NULL)
		explicit_bzero(
		    client->authorization, strlen(client->authorization));
	free(client->authorization);
}

int
client_unreachable(const struct client *client, const struct err *err)
{
	struct err told = ERR_INIT;

	if (err->code == ERR_CONNECT)
		(void)err_set(&told, err->code,
		    "nobody listens at %s: start 'moonpost serve', or name the "
		    "console of a host with --console HOST:PORT",
		    client->url);
	else
		(void)err_set(&told, err->code,
		    "the console at %s does not answer: %s", client->url,
		    err->msg);
	return cmd_fail(CMD_UNREACHABLE, &told);
}

int
client_refused(
    const struct client *client, unsigned int status, struct str body)
{
	struct err err = ERR_INIT;
	struct jdoc doc = {0};
	struct str message = {NULL, 0};

	if (status == 401) {
		(void)err_set(&err, ERR_UNAUTH,
		    "the console at %s does not take the token in %s/: name "
		    "the data folder of that host with --data",
		    client->url, client->call->config->data);
		return cmd_fail(CMD_UNREACHABLE, &err);
	}
	if (jdoc_parse(&doc, body.data, body.len, NULL, NULL) == 0)
		message = jdoc_get_str(jdoc_root(&doc), "message");
	if (message.len > 0)
		(void)err_set(
		    &err, ERR_INVALID, "%.*s", (int)message.len, message.data);
	else
		(void)err_set(&err, ERR_INVALID,
		    "the console at %s answered %u: is it moonpost?",
		    client->url, status);
	jdoc_free(&doc);
	return cmd_fail(status == 400   ? CMD_USAGE
			: status == 404 ? CMD_BAD
					: CMD_UNREACHABLE,
	    &err);
}

int
client_call(const struct client *client, const char *path, const char *body,
    struct client_answer *ret_answer)
{
	char *url = mem_printf("%s%s", client->url, path);
	const char *headers[] = {
	    client->authorization, "Content-Type: application/json"};
	struct httpc_request request = {.url = url,
	    .headers = headers,
	    .nheaders = body == NULL ? 1 : 2,
	    .timeout_ms = TIMEOUT_MS};
	struct httpc_answer answer = {.status = 0};
	struct err err = ERR_INIT;
	int status = CMD_GOOD;

	*ret_answer = (struct client_answer){.text = BUF_INIT};
	if (body != NULL) {
		request.method = "POST";
		request.body = str_of(body);
	}
	if (httpc_call(&request, &answer, &err) == -1) {
		status = client_unreachable(client, &err);
	} else if (answer.status / 100 != 2 ||
		   jdoc_parse(&ret_answer->doc, buf_text(&answer.body),
		       answer.body.len, NULL, NULL) == -1) {
		status = client_refused(client, answer.status,
		    (struct str){buf_text(&answer.body), answer.body.len});
	} else {
		ret_answer->text = answer.body;
		answer.body = (struct buf)BUF_INIT;
	}
	httpc_answer_free(&answer);
	free(url);
	return status;
}

void
client_answer_free(struct client_answer *answer)
{
	jdoc_free(&answer->doc);
	buf_free(&answer->text);
}

/* ---- texts
 * -------------------------------------------------------------------
 */

void
client_put_encoded(struct buf *path, const char *s)
{
	form_encode(path, str_of(s));
}

void
client_put_query(struct buf *path, const char *name, const char *value)
{
	if (value == NULL)
		return;
	buf_printf(path,
	    "%c%s=", strchr(buf_text(path), '?') == NULL ? '?' : '&', name);
	client_put_encoded(path, value);
}

void
client_put_time(struct buf *out, const struct jval *time, int ms)
{
	uint64_t unix_ms;
	struct tm tm;
	time_t seconds;

	if (time == NULL || jval_kind(time) != JDOC_STRING ||
	    clock_parse_rfc3339(
		jval_str(time).data, jval_str(time).len, &unix_ms) == -1) {
		buf_putc(out, '-');
		return;
	}
	seconds = (time_t)(unix_ms / 1000);
	(void)localtime_r(&seconds, &tm);
	buf_printf(out, "%04d-%02d-%02d %02d:%02d:%02d", tm.tm_year + 1900,
	    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	if (ms)
		buf_printf(out, ".%03u", (unsigned int)(unix_ms % 1000));
}

void
client_put_value(struct buf *out, const struct jval *value)
{
	if (value == NULL) {
		buf_putc(out, '-');
		return;
	}
	switch (jval_kind(value)) {
	case JDOC_STRING:
		buf_put(out, jval_str(value).data, jval_str(value).len);
		break;
	case JDOC_INT:
		buf_printf(out, "%lld", (long long)value->v.i);
		break;
	case JDOC_UINT:
		buf_printf(out, "%llu", (unsigned long long)value->v.u);
		break;
	case JDOC_REAL:
		buf_printf(out, "%g", value->v.d);
		break;
	case JDOC_TRUE:
		buf_puts(out, "yes");
		break;
	case JDOC_FALSE:
		buf_puts(out, "no");
		break;
	case JDOC_NULL:
	case JDOC_ARRAY:
	case JDOC_OBJECT:
	default:
		buf_putc(out, '-');
		break;
	}
}

int
client_style_of(struct str state)
{
	static const char *const bad[] = {
	    "dead", "invalid", "failed", "parked", "error", "killed"};
	static const char *const good[] = {"done", "loaded"};
	size_t i;

	for (i = 0; i < NELEMS(bad); i++) {
		if (str_eq(state, str_of(bad[i])))
			return CMD_RED;
	}
	for (i = 0; i < NELEMS(good); i++) {
		if (str_eq(state, str_of(good[i])))
			return CMD_GREEN;
	}
	return -1;
}

/* ---- tables
 * ------------------------------------------------------------------
 */

struct client_table
client_table_begin(const char *const *titles)
{
	struct client_table table = {0, 0, 0, NULL};
	struct buf text = BUF_INIT;
	size_t n;

	for (n = 0; titles[n] != NULL; n++)
		continue;
	table.ncolumns = n;
	for (n = 0; n < table.ncolumns; n++) {
		buf_puts(&text, titles[n]);
		client_table_add(&table, &text, CMD_BOLD);
	}
	return table;
}

void
client_table_add(struct client_table *table, struct buf *text, int style)
{
	struct buf line = BUF_INIT;
	struct client_cell *cell;
	size_t i;

	table->cells = mem_grow(table->cells, &table->cap, table->ncells + 1,
	    sizeof(*table->cells));
	cell = &table->cells[table->ncells++];
	str_put_visible(&line,
	    (struct str){buf_text(text), strcspn(buf_text(text), "\r\n")});
	cell->style = style;
	cell->width = 0;
	for (i = 0; i < line.len; i++)
		cell->width += (line.data[i] & 0xC0) != 0x80;
	cell->text = buf_take(&line);
	buf_free(text);
}

/* The bytes of the first ${width} characters. */
static size_t
cut(const char *text, size_t width)
{
	size_t i;

	for (i = 0; text[i] != '\0'; i++) {
		if ((text[i] & 0xC0) != 0x80 && width-- == 0)
			break;
	}
	return i;
}

static void
print_cell(struct client_cell *cell, FILE *out, int colour)
{
	if (cell->style == -1)
		(void)fputs(cell->text, out);
	else
		cmd_styled(
		    out, colour, (enum cmd_style)cell->style, cell->text);
}

void
client_table_print(struct client_table *table, FILE *out)
{
	size_t widths[CLIENT_COLUMNS] = {0}, i, column, before = 0;
	size_t n = table->ncolumns;
	struct client_cell *cell;
	int colour = cmd_colour(out), is_last;

	for (i = 0; i < table->ncells; i++) {
		cell = &table->cells[i];
		if (cell->width > widths[i % n])
			widths[i % n] = cell->width;
	}
	for (i = 0; i + 1 < n; i++)
		before += widths[i] + 2;
	for (i = 0; i < table->ncells; i++) {
		cell = &table->cells[i];
		column = i % n;
		is_last = column + 1 == n;

		/* A person would rather have one line than all of it. */
		if (is_last && isatty(fileno(out)))
			cell->text[cut(
			    cell->text, before + LAST_WIDTH < LINE_WIDTH
					    ? LINE_WIDTH - before
					    : LAST_WIDTH)] = '\0';
		print_cell(cell, out, colour);
		if (is_last)
			(void)fputc('\n', out);
		else if (column + 2 < n || cell[1].width > 0)
			(void)fprintf(out, "%*s",
			    (int)(widths[column] - cell->width + 2), "");
	}
	for (i = 0; i < table->ncells; i++)
		free(table->cells[i].text);
	free(table->cells);
	*table = (struct client_table){0, 0, 0, NULL};
}
