#include <sys/stat.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

#include "app/preview.h"
#include "config/config.h"
#include "config/option.h"

#include "cli/cmd.h"
#include "cli/ui_scripts.h"

static void
ready(const char *url)
{
	(void)printf("preview: %s\n", url);
	(void)fflush(stdout);
}

static int
run(const struct cmd_call *call)
{
	const char *integration = call->config->integration;
	struct preview_options options = {.config = call->config,
	    .integration = integration == NULL ? "default" : integration,
	    .ready = ready};
	struct err err = ERR_INIT;
	char *path, *name = NULL, *slash, *dot;
	struct stat st;
	int status = CMD_GOOD;

	path =
	    ui_scripts_folder(call, options.integration, call->args[0], &err);
	if (path == NULL)
		return cmd_fail(
		    err.code == ERR_INVALID ? CMD_USAGE : CMD_UNREACHABLE,
		    &err);
	/* Of a file, its folder is served, with lib/ and all. */
	if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
		slash = strrchr(path, '/');
		name = mem_strdup(slash == NULL ? path : slash + 1);
		dot = strrchr(name, '.');
		if (dot != NULL)
			*dot = '\0';
		if (slash != NULL)
			slash[slash == path ? 1 : 0] = '\0';
	}
	options.script = name;
	options.folder = name != NULL && strchr(path, '/') == NULL &&
				 path[0] != '\0' && stat(path, &st) == 0 &&
				 S_ISREG(st.st_mode)
			     ? "."
			     : path;
	if (preview_run(&options, &err) == -1)
		status = cmd_fail(
		    err.code == ERR_INVALID ? CMD_USAGE : CMD_UNREACHABLE,
		    &err);
	free(name);
	free(path);
	return status;
}

const struct cmd_entry cmd_preview = {
    .name = "preview",
    .usage = "[SCRIPT|DIR] [options]",
    .help = "show the forms of UI components as Sentry renders them",
    .about =
	"Serve a page on this machine that shows the forms of alert_action and "
	"issue_link, and sends them as Sentry does: it shows the signed "
	"request, the lines that the script logged, what it called, and what "
	"Sentry would show. It can also have an alert action fire on a sample "
	"alert. A saved script shows at once.\n\n"
	"Scripts run in a worker as under a host. Their outbound calls are "
	"made, with the secrets of the environment or of --secrets; kv is "
	"empty at the start and gone at the end. Ctrl-C ends it.\n\n"
	"Exit status: 0 after Ctrl-C, 2 wrong usage, 3 there is no such "
	"script, or the address is in use.",
    .examples = "moonpost preview\n"
		"moonpost preview page_oncall --allow-host 127.0.0.1:9000",
    .options = OPTION_FOR_PREVIEW,
    .max_args = 1,
    .run = run,
};
