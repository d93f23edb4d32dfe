#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

#include "config/config.h"
#include "config/option.h"
#include "dispatch/dispatch.h"
#include "ingress/ingress.h"
#include "net/loop.h"

#include "app/app.h"
#include "app/requarantine.h"
#include "app/sentry.h"
#include "app/serve_internal.h"
#include "app/settings.h"

/* How long requests that are on their way may take after SIGTERM. */
#define DRAIN_ANSWERS_MS 5000
#define ANSWERS_LOOK_MS 5

/* The end comes when both have ended: the door and the handlers. */
static void
look_if_answered(void *cookie)
{
	struct app *app = cookie;
	size_t left = 0;

	if (app->ingress != NULL)
		left = ingress_drain(app->ingress, 0);
	if (left > 0 && clock_mono_ms() < app->answers_mono_ms) {
		loop_timer_set(app->answers, ANSWERS_LOOK_MS);
		return;
	}
	if (left > 0)
		log_warn("some requests did not come to their end",
		    LOG_INT("requests", left));
	app->answers_mono_ms = 0;
	if (app->drained)
		loop_stop(app->loop);
}

static void
drained(void *cookie)
{
	struct app *app = cookie;

	app->drained = 1;
	if (app->answers_mono_ms == 0)
		loop_stop(app->loop);
}

/* Let what runs come to its end. */
static void
stop(struct app *app, int signo)
{
	app->stopping = 1;
	requarantine_stop(app->requarantine);
	log_info("stopping", LOG_STR("signal", strsignal(signo)));
	app->answers_mono_ms = clock_mono_ms() + DRAIN_ANSWERS_MS;
	look_if_answered(app);
	dispatch_drain(
	    app->dispatch, app->config->drain_timeout_ms, drained, app);
}

/* SIGTERM, SIGINT: the first is friendly, the second is not. */
static void
stop_cb(evutil_socket_t signo, short what, void *cookie)
{
	struct app *app = cookie;

	(void)what;
	if (!app->stopping) {
		stop(app, signo);
		return;
	}
	log_warn("stopping at once", LOG_STR("signal", strsignal(signo)));
	loop_stop(app->loop);
}

/* Take over what can be changed while it runs; name what cannot. */
static void
apply_config(struct app *app, const struct config *old, struct config *new)
{
	const struct option *option = NULL;
	struct ingress_options options = {0};
	struct ingress_integration *in;

	while ((option = config_next_change(old, new, option)) != NULL) {
		if (option->flags & OPTION_RELOADABLE)
			log_info(
			    "option changed", LOG_STR("option", option->name));
		else
			log_warn("option takes effect after a restart",
			    LOG_STR("option", option->name));
	}
	if (config_integrations_differ(old, new))
		log_warn("option takes effect after a restart",
		    LOG_STR("option", "integrations"));
	serve_remember_secrets(app, new);
	app_setup_log(new);
	serve_fill_ingress(new, &options);
	in = serve_integrations(app, new);
	options.integrations = in;
	options.nintegrations = app->config->nintegrations;
	if (app->ingress != NULL)
		ingress_change(app->ingress, &options);
	free(in);
	app_sentry_configure(app->sentry, new);
	config_free(app->reloaded);
	app->reloaded = new;
}

/* SIGHUP: the configuration and the scripts, once more; or it tells that the
 * terminal was closed, and nobody is there to press Ctrl-C any more. */
static void
reload_cb(evutil_socket_t signo, short what, void *cookie)
{
	struct app *app = cookie;
	const struct config *old =
	    app->reloaded != NULL ? app->reloaded : app->config;
	struct config *new;
	struct err warning = ERR_INIT, err = ERR_INIT;

	(void)what;
	if (app->stopping)
		return;
	if (app->terminal != -1 && tcgetpgrp(app->terminal) == -1) {
		stop(app, signo);
		return;
	}
	log_info("reloading");
	new = config_create_again(app->config);
	if (settings_load(new, &warning, &err) == -1) {
		log_error(
		    "configuration not reloaded", LOG_STR("error", err.msg));
		config_free(new);
	} else {
		if (warning.code != ERR_NONE)
			log_warn(warning.msg);
		apply_config(app, old, new);
	}
	(void)serve_look_at_scripts(app, NULL);
}

int
serve_add_signals(struct app *app)
{
	static const struct {
		int signo;
		event_callback_fn cb;
	} wanted[] = {
	    {SIGTERM, stop_cb}, {SIGINT, stop_cb}, {SIGHUP, reload_cb}};
	size_t i;

	app->answers = loop_timer_create(app->loop, look_if_answered, app);
	for (i = 0; i < NELEMS(wanted); i++) {
		app->signals[i] = evsignal_new(
		    loop_base(app->loop), wanted[i].signo, wanted[i].cb, app);
		if (app->signals[i] == NULL ||
		    event_add(app->signals[i], NULL) == -1)
			return -1;
	}
	return 0;
}
