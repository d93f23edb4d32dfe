/*
 * moonpost sim: a stand-in for Sentry on a local port.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

#include "catalog/catalog.h"
#include "config/config.h"
#include "config/option.h"
#include "net/listen.h"
#include "net/loop.h"
#include "sim/sim.h"

#include "cli/cmd.h"

/* Where nothing is set; whoever tries things out has to know them. */
#define CLIENT_ID "moonpost-sim"
#define CLIENT_SECRET "moonpost-sim-secret"

static void
stop(evutil_socket_t fd, short what, void *cookie)
{
	(void)fd;
	(void)what;
	loop_stop(cookie);
}

/* Say what to try; nothing that was set by the user is printed. */
static void
greet(const struct config *config, const char *url)
{
	int made = config->client_secrets.n == 0;

	(void)printf("A stand-in for Sentry listens at %s\n\n"
		     "Point a host at it, in another terminal:\n"
		     "  export SENTRY_URL=%s\n",
	    url, url);
	if (config->client_id == NULL)
		(void)puts("  export SENTRY_CLIENT_ID=" CLIENT_ID);
	if (made)
		(void)puts("  export SENTRY_CLIENT_SECRET=" CLIENT_SECRET);
	(void)printf(
	    "  moonpost serve --dev\n\n"
	    "Then let things happen, in a third:\n"
	    "  curl %s/sim/install -d '{\"url\":\"http://127.0.0.1:8080/"
	    "webhook\"}'\n"
	    "  curl %s/sim/emit -d '{\"event\":\"issue.created\",\"set\":{"
	    "\"data.issue.level\":\"fatal\"}}'\n"
	    "  curl %s/sim/calls\n\n"
	    "docs/sim.md has the rest.  Ctrl-C stops it.\n\n",
	    url, url, url);
	(void)fflush(stdout);
}

static int
serve(struct sim_options *options, const struct config *config, int fd,
    struct err *err)
{
	struct event_base *base = loop_base(options->loop);
	struct event *signals[2];
	struct sim *sim;

	if (sim_create(options, fd, &sim, err) == -1)
		return -1;
	signals[0] = evsignal_new(base, SIGINT, stop, options->loop);
	signals[1] = evsignal_new(base, SIGTERM, stop, options->loop);
	(void)event_add(signals[0], NULL);
	(void)event_add(signals[1], NULL);
	if (!config->json)
		greet(config, options->url);
	log_info("listening", LOG_STR("url", options->url),
	    LOG_INT("time_scale", options->scale));
	loop_run(options->loop);
	event_free(signals[0]);
	event_free(signals[1]);
	sim_free(sim);
	return 0;
}

static int
run(const struct cmd_call *call)
{
	static const char *const made_secrets[] = {CLIENT_SECRET};
	const struct config *config = call->config;
	const struct config_list *secrets = &config->client_secrets;
	char address[LISTEN_ADDRESS_SIZE];
	struct sim_options options = {.client_id = config->client_id == NULL
						       ? CLIENT_ID
						       : config->client_id};
	struct catalog *catalog = NULL;
	struct err err = ERR_INIT;
	int fd, status;
	char *url = NULL;

	log_setup(config->json ? LOG_FORMAT_JSON : LOG_FORMAT_PRETTY, LOG_INFO,
	    !config->json && cmd_colour(stderr));
	status = cmd_open_catalog(config, &catalog);
	if (status != CMD_GOOD)
		return status;
	options.catalog = catalog;
	options.secrets = secrets->n == 0 ? made_secrets
					  : (const char *const *)secrets->items;
	options.nsecrets = secrets->n == 0 ? 1 : secrets->n;
	options.scale = config->time_scale;
	status = CMD_UNREACHABLE;
	if (loop_create(64, &options.loop, &err) == -1 ||
	    listen_open(config->sim_listen.text, 1, &fd, address, &err) == -1) {
		(void)cmd_fail(status, &err);
		goto out;
	}
	url = mem_printf("http://%s", address);
	options.url = url;
	if (serve(&options, config, fd, &err) == -1)
		(void)cmd_fail(status, &err);
	else
		status = CMD_GOOD;

out:
	loop_free(options.loop);
	catalog_free(catalog);
	free(url);
	return status;
}

const struct cmd_entry cmd_sim = {
    .name = "sim",
    .usage = "[options]",
    .help = "a local stand-in for Sentry, for development and tests",
    .about =
	"Be Sentry on a local port, for an integration that has no account at "
	"hand: the install flow with codes that are exchanged once, tokens "
	"that expire and refresh tokens that are good for one time, OAuth with "
	"PKCE and devices, the calls that handlers make, and a sender of "
	"webhooks with Sentry's delivery policy. Everything is in memory.\n\n"
	"What happens is said over HTTP: POST /sim/install, /sim/emit, "
	"/sim/expire, /sim/device, /sim/deny, /sim/fail, /sim/drop, with JSON; "
	"GET /sim/calls tells what came in and went out. docs/sim.md has all "
	"of it, with a walk-through.\n\n"
	"The integration is the one of SENTRY_CLIENT_ID and "
	"SENTRY_CLIENT_SECRET; without them, one that is made up and printed. "
	"What comes in and goes out is logged on standard error.\n\n"
	"Exit status: 0 it was told to stop, 2 wrong usage, 3 it cannot listen "
	"there.",
    .examples = "moonpost sim\n"
		"moonpost sim --listen 127.0.0.1:9000 --time-scale 60\n"
		"curl http://127.0.0.1:8082/sim/emit -d "
		"'{\"event\":\"issue.created\",\"url\":\"http://127.0.0.1:8080/"
		"webhook\"}'",
    .options = OPTION_FOR_SIM,
    .run = run,
};
