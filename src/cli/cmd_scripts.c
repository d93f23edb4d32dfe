/*
 * moonpost scripts: what is served, and what waits for it.
 */

#include <string.h>

#include "base/err.h"

#include "config/config.h"
#include "config/option.h"

#include "cli/client.h"

static void
add_member(
    struct client_table *table, const struct jval *script, const char *name)
{
	struct buf text = BUF_INIT;

	client_put_value(&text, jdoc_gets(script, name));
	client_table_add(table, &text, -1);
}

static int
is_true(const struct jval *script, const char *name)
{
	const struct jval *v = jdoc_gets(script, name);

	return v != NULL && jval_kind(v) == JDOC_TRUE;
}

/* The script, or "integration/script". */
static void
add_name(struct client_table *table, const struct jval *script)
{
	struct str integration = jdoc_get_str(script, "integration");
	struct buf text = BUF_INIT;

	if (integration.len > 0 && !str_eq(integration, STR("default")))
		buf_printf(
		    &text, "%.*s/", (int)integration.len, integration.data);
	client_put_value(&text, jdoc_gets(script, "name"));
	client_table_add(table, &text, -1);
}

static void
add_state(struct client_table *table, const struct jval *script)
{
	struct str state = jdoc_get_str(script, "state");
	struct buf text = BUF_INIT;

	buf_put(&text, state.data, state.len);
	if (is_true(script, "paused"))
		buf_puts(&text, ", paused");
	if (is_true(script, "throttled"))
		buf_puts(&text, ", throttled");
	if (is_true(script, "slow"))
		buf_puts(&text, ", slow");
	if (is_true(script, "unsafe_stdlib"))
		buf_puts(&text, ", unsafe stdlib");
	client_table_add(table, &text, client_style_of(state));
}

static void
add_row(struct client_table *table, const struct jval *script)
{
	const struct jval *handlers = jdoc_gets(script, "handlers"), *e;
	struct buf text = BUF_INIT;
	size_t i;

	add_name(table, script);
	add_state(table, script);
	client_put_time(&text, jdoc_gets(script, "loaded_at"), 0);
	client_table_add(table, &text, -1);
	add_member(table, script, "pending");
	add_member(table, script, "running");
	add_member(table, script, "retrying");
	add_member(table, script, "dead");
	if (handlers == NULL || jval_kind(handlers) != JDOC_ARRAY ||
	    handlers->len == 0)
		buf_putc(&text, '-');
	else
		for (e = handlers + 1, i = 0; i < handlers->len;
		     i++, e = jval_next(e)) {
			buf_puts(&text, i == 0 ? "" : ", ");
			client_put_value(&text, e);
		}
	client_table_add(table, &text, -1);
}

static void
print_table(const struct jval *list)
{
	static const char *const titles[] = {"SCRIPT", "STATE", "LOADED",
	    "PENDING", "RUNNING", "RETRYING", "DEAD", "HANDLERS", NULL};
	struct client_table table = client_table_begin(titles);
	const struct jval *e;
	struct str error;
	size_t i;

	for (e = list + 1, i = 0; i < list->len; i++, e = jval_next(e))
		add_row(&table, e);
	client_table_print(&table, stdout);

	/* Below it, as long as they are. */
	for (e = list + 1, i = 0; i < list->len; i++, e = jval_next(e)) {
		error = jdoc_get_str(e, "error");
		if (error.len == 0)
			continue;
		(void)fputc('\n', stdout);
		cmd_put_visible(stdout, jdoc_get_str(e, "name"));
		(void)fputs(": ", stdout);
		cmd_put_visible(stdout, error);
		(void)fputc('\n', stdout);
	}
}

/* The schedules of a script. */
static void
add_schedules(struct client_table *table, const struct jval *script)
{
	const struct jval *list = jdoc_gets(script, "schedules"), *e;
	struct buf text = BUF_INIT;
	size_t i;

	if (list == NULL || jval_kind(list) != JDOC_ARRAY)
		return;
	for (e = list + 1, i = 0; i < list->len; i++, e = jval_next(e)) {
		add_member(table, e, "name");
		add_name(table, script);
		add_member(table, e, "rule");
		client_put_time(&text, jdoc_gets(e, "next_at"), 0);
		client_table_add(table, &text, -1);
	}
}

/* What runs by the clock, in a table of its own. */
static void
print_schedules(const struct jval *list)
{
	static const char *const titles[] = {
	    "SCHEDULE", "SCRIPT", "RULE", "NEXT", NULL};
	struct client_table table;
	const struct jval *e;
	size_t i;

	for (e = list + 1, i = 0; i < list->len; i++, e = jval_next(e)) {
		const struct jval *of = jdoc_gets(e, "schedules");

		if (of != NULL && jval_kind(of) == JDOC_ARRAY && of->len > 0)
			break;
	}
	if (i == list->len)
		return;
	(void)fputc('\n', stdout);
	table = client_table_begin(titles);
	for (e = list + 1, i = 0; i < list->len; i++, e = jval_next(e))
		add_schedules(&table, e);
	client_table_print(&table, stdout);
}

static void
print_lists(const struct jval *list)
{
	print_table(list);
	print_schedules(list);
}

static int
run(const struct cmd_call *call)
{
	struct client_answer answer = {.text = BUF_INIT};
	const struct jval *list;
	struct client client;
	int status;

	status = client_open(call, &client);
	if (status == CMD_GOOD)
		status = client_call(&client, "/api/scripts", NULL, &answer);
	if (status == CMD_GOOD && call->config->json) {
		(void)fwrite(answer.text.data, 1, answer.text.len, stdout);
		(void)fputc('\n', stdout);
	} else if (status == CMD_GOOD) {
		list = jdoc_gets(jdoc_root(&answer.doc), "scripts");
		if (list != NULL && jval_kind(list) == JDOC_ARRAY)
			print_lists(list);
	}
	client_answer_free(&answer);
	client_close(&client);
	return status;
}

const struct cmd_entry cmd_scripts = {
    .name = "scripts",
    .usage = "[options]",
    .help = "list the scripts that a host serves, and what waits for them",
    .about =
	"Ask a running host for its scripts: state, handlers, and their jobs. "
	"unsafe stdlib: it runs without the sandbox, as --unsafe-stdlib says. "
	"failed: the newest version does not load, and the last good one (if "
	"there is one) goes on; below the table stands why. Last come the "
	"schedules, and when each is due next.",
    .examples = "moonpost scripts\n"
		"moonpost scripts --json",
    .options = OPTION_FOR_SCRIPTS,
    .max_args = 0,
    .run = run,
};
