#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "json/jwrite.h"

#include "catalog/catalog.h"
#include "config/config.h"
#include "config/option.h"

#include "cli/cmd.h"

#define COLUMNS 4

/* Names in a cell go on in the next line from here on, on a terminal. */
#define CELL_WIDTH 30

/* A row: the names that stand in each of its cells. */
struct row {
	struct {
		const char *const *names;
		size_t n;
	} cells[COLUMNS];
};

static const char *const titles[COLUMNS] = {
    "CHANNEL", "RESOURCE", "ACTIONS", "HANDLERS"};

/*
 * Append to ${line} the names of a cell from *${at} on, as many as fit into
 * ${width} columns, and at least one.
 */
static void
put_cell(struct buf *line, const char *const *names, size_t n, size_t *at,
    size_t width)
{
	size_t used = 0, len;

	for (; *at < n; (*at)++) {
		len = strlen(names[*at]) + (*at + 1 < n ? 1 : 0);
		if (used > 0 && used + 1 + len > width)
			break;
		buf_printf(line, "%s%s%s", used > 0 ? " " : "", names[*at],
		    *at + 1 < n ? "," : "");
		used += len + (used > 0 ? 1 : 0);
	}
}

/* How wide a column has to be when its cells are broken at ${width}. */
static size_t
column_width(const struct row *rows, size_t n, size_t column, size_t width)
{
	struct buf line = BUF_INIT;
	size_t widest = strlen(titles[column]), i, at;

	for (i = 0; i < n; i++) {
		for (at = 0; at < rows[i].cells[column].n;) {
			buf_reset(&line);
			put_cell(&line, rows[i].cells[column].names,
			    rows[i].cells[column].n, &at, width);
			if (line.len > widest)
				widest = line.len;
		}
	}
	buf_free(&line);
	return widest;
}

static void
print_row(const struct row *row, const size_t *widths, size_t width)
{
	size_t at[COLUMNS] = {0}, column, start, more;
	struct buf line = BUF_INIT;

	do {
		more = 0;
		start = 0;
		for (column = 0; column < COLUMNS; column++) {
			while (line.len < start)
				buf_putc(&line, ' ');
			put_cell(&line, row->cells[column].names,
			    row->cells[column].n, &at[column], width);
			more += row->cells[column].n - at[column];
			start += widths[column] + 2;
		}
		while (line.len > 0 && line.data[line.len - 1] == ' ')
			line.data[--line.len] = '\0';
		(void)puts(buf_text(&line));
		buf_reset(&line);
	} while (more > 0);
	buf_free(&line);
}

static void
print_table(const struct catalog *catalog)
{
	size_t n = catalog_count(catalog), widths[COLUMNS], i, column;
	/* One line a resource where a program may read it. */
	size_t width = isatty(STDOUT_FILENO) ? CELL_WIDTH : SIZE_MAX;
	struct row *rows = mem_array(n, sizeof(*rows));
	const struct catalog_resource *resource;
	struct buf head = BUF_INIT;

	for (i = 0; i < n; i++) {
		resource = catalog_at(catalog, i);
		rows[i].cells[0].names = resource->channels;
		rows[i].cells[0].n = resource->nchannels;
		rows[i].cells[1].names = &resource->name;
		rows[i].cells[1].n = 1;
		rows[i].cells[2].names = resource->actions;
		rows[i].cells[2].n = resource->nactions;
		rows[i].cells[3].names = resource->handlers;
		rows[i].cells[3].n = resource->nhandlers;
	}
	for (column = 0; column < COLUMNS; column++) {
		widths[column] = column_width(rows, n, column, width);
		buf_printf(&head, "%-*s",
		    column + 1 < COLUMNS ? (int)widths[column] + 2 : 0,
		    titles[column]);
	}
	cmd_styled(stdout, cmd_colour(stdout), CMD_BOLD, buf_text(&head));
	(void)fputc('\n', stdout);
	for (i = 0; i < n; i++)
		print_row(&rows[i], widths, width);
	buf_free(&head);
	free(rows);
}

static void
put_names(struct jwrite *w, const char *key, const char *const *names, size_t n)
{
	size_t i;

	jwrite_key(w, key);
	jwrite_array(w);
	for (i = 0; i < n; i++)
		jwrite_text(w, names[i]);
	jwrite_array_end(w);
}

static void
print_json(const struct catalog *catalog)
{
	const struct catalog_resource *resource;
	struct buf out = BUF_INIT;
	struct jwrite w = jwrite_begin(&out, 2);
	size_t i;

	jwrite_array(&w);
	for (i = 0; i < catalog_count(catalog); i++) {
		resource = catalog_at(catalog, i);
		jwrite_object(&w);
		jwrite_member_text(&w, "resource", resource->name);
		jwrite_member_text(&w, "channel", resource->channel);
		put_names(
		    &w, "channels", resource->channels, resource->nchannels);
		put_names(&w, "actions", resource->actions, resource->nactions);
		put_names(
		    &w, "handlers", resource->handlers, resource->nhandlers);
		jwrite_member_text(&w, "summary", resource->summary);
		jwrite_object_end(&w);
	}
	jwrite_array_end(&w);
	buf_putc(&out, '\n');
	cmd_flush(stdout, &out);
}

static int
run(const struct cmd_call *call)
{
	struct catalog *catalog;
	int status = cmd_open_catalog(call->config, &catalog);

	if (status != CMD_GOOD)
		return status;
	if (call->config->json)
		print_json(catalog);
	else
		print_table(catalog);
	catalog_free(catalog);
	return CMD_GOOD;
}

const struct cmd_entry cmd_channels = {
    .name = "channels",
    .usage = "[options]",
    .help = "list what Sentry can send, and which handler gets it",
    .about = "Print the catalogue: each resource with the channels that have "
	     "it, its actions, and the handlers that are looked up for it, of "
	     "which the first that a script defines is called.",
    .examples = "moonpost channels\n"
		"moonpost channels --schema deploys.yml --json",
    .options = OPTION_FOR_CHANNELS,
    .max_args = 0,
    .run = run,
};
