#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#include "config/config.h"
#include "config/option.h"

#include "cli/cmd.h"
#include "cli/ui_scripts.h"

/* Where the components of an integration are served; for free(). */
static char *
make_prefix(const char *integration)
{
	if (integration == NULL || strcmp(integration, "default") == 0)
		return mem_strdup("");
	return mem_printf("/i/%s", integration);
}

static int
run(const struct cmd_call *call)
{
	const char *integration = call->config->integration;
	struct ui_scripts scripts = {NULL, 0, 0};
	struct buf schema = BUF_INIT;
	struct err err = ERR_INIT;
	char *path, *prefix = NULL;
	int status = CMD_GOOD;
	size_t problems;

	path = ui_scripts_folder(call, integration, call->args[0], &err);
	if (path == NULL)
		return cmd_fail(
		    err.code == ERR_INVALID ? CMD_USAGE : CMD_UNREACHABLE,
		    &err);
	if (ui_scripts_load(call, path, &scripts, &problems, &err) == -1) {
		status = cmd_fail(CMD_UNREACHABLE, &err);
		goto out;
	}
	prefix = make_prefix(integration);
	if (problems > 0) {
		status = CMD_BAD;
	} else if (ui_schema(scripts.list, scripts.n, prefix, &schema) == 0) {
		(void)err_set(&err, ERR_NOT_FOUND,
		    "%s declares no component: write alert_action, issue_link "
		    "or stacktrace_link in a script",
		    path);
		status = cmd_fail(CMD_BAD, &err);
	} else {
		buf_putc(&schema, '\n');
		cmd_flush(stdout, &schema);
	}

out:
	buf_free(&schema);
	ui_scripts_clear(&scripts);
	free(prefix);
	free(path);
	return status;
}

const struct cmd_entry cmd_ui_schema = {
    .name = "ui-schema",
    .usage = "[SCRIPT|DIR] [options]",
    .help = "print the JSON for the Schema box of an integration in Sentry",
    .about =
	"Load the scripts (or one: a name, or a file) and print the UI "
	"components that they declare with alert_action, issue_link and "
	"stacktrace_link, as Sentry's parser accepts them. Paste it into the "
	"Schema box of the integration.\n\n"
	"Exit status: 0 printed, 1 a script does not load or none declares a "
	"component, 2 wrong usage, 3 there is no such script.",
    .examples = "moonpost ui-schema\n"
		"moonpost ui-schema page_oncall",
    .options = OPTION_FOR_UI_SCHEMA,
    .max_args = 1,
    .run = run,
};
