/*
 * moonpost deliveries: what came in, and what became of it.
 */

#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "json/jwrite.h"

#include "config/config.h"
#include "config/option.h"

#include "cli/client.h"

/* What the console gives at a time. */
#define PAGE 500

/* ---- a page after the other ------------------------------------------------
 */

/* Deliveries, as they were answered, page by page. */
struct pages {
	struct client_answer *items;
	size_t n, cap;
	size_t left;     /* Still wanted. */
	struct buf next; /* Where the next one begins; empty: there is none. */
};

static int
fetch_page(const struct client *client, struct pages *pages)
{
	const struct config *config = client->call->config;
	struct client_answer *answer;
	struct buf path = BUF_INIT;
	const struct jval *root;
	struct str next;
	char *limit;
	int status;

	limit = mem_printf("%zu", pages->left < PAGE ? pages->left : PAGE);
	buf_puts(&path, "/api/deliveries");
	client_put_query(&path, "limit", limit);
	client_put_query(&path, "state", config->state);
	client_put_query(&path, "resource", config->resource);
	client_put_query(&path, "action", config->action);
	client_put_query(&path, "script", config->script);
	client_put_query(&path, "integration", config->integration);
	client_put_query(&path, "since", config->since);
	client_put_query(&path, "until", config->until);
	client_put_query(&path, "q", config->q);
	if (pages->next.len > 0)
		client_put_query(&path, "before", buf_text(&pages->next));

	pages->items = mem_grow(
	    pages->items, &pages->cap, pages->n + 1, sizeof(*pages->items));
	answer = &pages->items[pages->n++];
	status = client_call(client, buf_text(&path), NULL, answer);
	buf_free(&path);
	free(limit);
	if (status != CMD_GOOD)
		return status;
	root = jdoc_root(&answer->doc);
	next = jdoc_get_str(root, "next");
	buf_reset(&pages->next);
	if (next.len > 0)
		buf_put(&pages->next, next.data, next.len);
	root = jdoc_gets(root, "deliveries");
	if (root != NULL && jval_kind(root) == JDOC_ARRAY)
		pages->left -=
		    root->len < pages->left ? root->len : pages->left;
	return CMD_GOOD;
}

/* Call ${show} for each delivery. */
static void
for_each(const struct pages *pages,
    void (*show)(const struct jval *delivery, void *cookie), void *cookie)
{
	const struct jval *list, *e;
	size_t i, k;

	for (i = 0; i < pages->n; i++) {
		list = jdoc_gets(jdoc_root(&pages->items[i].doc), "deliveries");
		if (list == NULL || jval_kind(list) != JDOC_ARRAY)
			continue;
		for (e = list + 1, k = 0; k < list->len; k++, e = jval_next(e))
			show(e, cookie);
	}
}

/* ---- for people
 * --------------------------------------------------------------
 */

static void
add_member(
    struct client_table *table, const struct jval *delivery, const char *name)
{
	struct buf text = BUF_INIT;

	client_put_value(&text, jdoc_gets(delivery, name));
	client_table_add(table, &text, -1);
}

/* "triage, pager:dead": the scripts, and what is not done. */
static void
put_jobs(struct buf *scripts, struct buf *error, const struct jval *jobs)
{
	const struct jval *job;
	struct str state, why;
	size_t i;

	if (jobs == NULL || jval_kind(jobs) != JDOC_ARRAY || jobs->len == 0) {
		buf_putc(scripts, '-');
		return;
	}
	for (job = jobs + 1, i = 0; i < jobs->len; i++, job = jval_next(job)) {
		buf_puts(scripts, i == 0 ? "" : ", ");
		client_put_value(scripts, jdoc_gets(job, "script"));
		state = jdoc_get_str(job, "state");
		if (jobs->len > 1 && !str_eq(state, STR("done")))
			buf_printf(
			    scripts, ":%.*s", (int)state.len, state.data);
		why = jdoc_get_str(job, "error");
		if (why.len > 0 && error->len == 0)
			buf_put(error, why.data, why.len);
	}
}

static void
add_row(const struct jval *delivery, void *cookie)
{
	struct client_table *table = cookie;
	struct buf text = BUF_INIT, error = BUF_INIT;
	struct str state = jdoc_get_str(delivery, "state");

	add_member(table, delivery, "id");
	client_put_time(&text, jdoc_gets(delivery, "received_at"), 0);
	client_table_add(table, &text, -1);
	add_member(table, delivery, "resource");
	add_member(table, delivery, "action");
	buf_put(&text, state.data, state.len);
	client_table_add(table, &text, client_style_of(state));
	put_jobs(&text, &error, jdoc_gets(delivery, "jobs"));
	client_table_add(table, &text, -1);
	client_table_add(table, &error, -1);
}

static void
print_table(const struct pages *pages)
{
	static const char *const titles[] = {"ID", "RECEIVED", "RESOURCE",
	    "ACTION", "STATE", "SCRIPTS", "ERROR", NULL};
	struct client_table table = client_table_begin(titles);

	for_each(pages, add_row, &table);
	client_table_print(&table, stdout);
	if (pages->next.len > 0)
		(void)fputs(
		    "There are older ones: --limit shows more.\n", stderr);
}

/* ---- for programs ----------------------------------------------------------
 */

static void
write_one(const struct jval *delivery, void *cookie)
{
	jwrite_jval(cookie, delivery);
}

static void
print_json(const struct pages *pages)
{
	struct buf out = BUF_INIT;
	struct jwrite w = jwrite_begin(&out, 2);

	jwrite_object(&w);
	jwrite_key(&w, "deliveries");
	jwrite_array(&w);
	for_each(pages, write_one, &w);
	jwrite_array_end(&w);
	jwrite_member_text(
	    &w, "next", pages->next.len > 0 ? pages->next.data : NULL);
	jwrite_object_end(&w);
	buf_putc(&out, '\n');
	cmd_flush(stdout, &out);
}

static int
run(const struct cmd_call *call)
{
	struct pages pages = {.left = (size_t)call->config->limit};
	struct client client;
	size_t i;
	int status;

	status = client_open(call, &client);
	if (status != CMD_GOOD)
		goto out;
	do {
		status = fetch_page(&client, &pages);
	} while (status == CMD_GOOD && pages.left > 0 && pages.next.len > 0);
	if (status != CMD_GOOD)
		goto out;
	if (call->config->json)
		print_json(&pages);
	else
		print_table(&pages);
out:
	for (i = 0; i < pages.n; i++)
		client_answer_free(&pages.items[i]);
	free(pages.items);
	buf_free(&pages.next);
	client_close(&client);
	return status;
}

const struct cmd_entry cmd_deliveries = {
    .name = "deliveries",
    .usage = "[options]",
    .help = "list what came in, and what became of it",
    .about =
	"Ask a running host for its deliveries, the newest first. The state of "
	"a delivery is the worst of its jobs', or invalid (its shape was "
	"refused) or unhandled (no script has a handler for it).",
    .examples = "moonpost deliveries\n"
		"moonpost deliveries --state dead --since 1h\n"
		"moonpost deliveries --q PROJ-123 --json",
    .options = OPTION_FOR_DELIVERIES,
    .max_args = 0,
    .run = run,
};
