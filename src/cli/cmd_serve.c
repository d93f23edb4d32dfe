/*
 * moonpost serve: the host itself.
 */

#include "base/err.h"

#include "app/app.h"
#include "config/option.h"

#include "cli/cmd.h"

static int
run(const struct cmd_call *call)
{
	struct err err = ERR_INIT;

	if (app_serve(call->config, &err) == 0)
		return CMD_GOOD;
	return cmd_fail(
	    err.code == ERR_INVALID ? CMD_USAGE : CMD_UNREACHABLE, &err);
}

const struct cmd_entry cmd_serve = {
    .name = "serve",
    .usage = "[options]",
    .help = "receive webhooks and run the scripts on them",
    .about =
	"Listen for Sentry's webhooks, keep what is genuine and well-formed, "
	"and run the handlers of the scripts folder on it. A script is live "
	"when it is saved.\n\n"
	"SIGTERM and SIGINT stop it: what runs may end, the rest is kept for "
	"the next start; a second signal does not wait. SIGHUP looks at the "
	"scripts and the configuration again; a terminal that is closed stops "
	"what was started in its foreground without nohup.\n\n"
	"Exit status: 0 it was told to stop, 2 wrong usage or configuration, 3 "
	"something cannot be opened or listened on.",
    .examples = "moonpost serve --dev\n"
		"SENTRY_CLIENT_SECRET=... moonpost serve --listen 0.0.0.0:8080",
    .options = OPTION_FOR_SERVE,
    .run = run,
};
