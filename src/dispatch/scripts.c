#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "dispatch/decide.h"
#include "dispatch/version.h"
#include "wire/source.h"

#include "dispatch/scripts_internal.h"

void
scripts_set_version(struct version **slot, struct version *version)
{
	(void)version_ref(version);
	version_unref(*slot);
	*slot = version;
}

void
scripts_set_error(struct script *script, const char *error)
{
	free(script->error);
	script->error = mem_strdup(error);
}

const char *
script_state_name(const struct script *script)
{
	if (script->removed)
		return "removed";
	if (script->parked)
		return "parked";
	if (script->error != NULL)
		return "failed";
	return script->live == NULL ? "loading" : "loaded";
}

int
script_is_servable(const struct script *script)
{
	return script->bundle != NULL && !script->paused && !script->parked &&
	       !script->removed &&
	       worker_is_ready(script->bundle->lane->worker);
}

int
scripts_are_settled(const struct scripts *s)
{
	const struct script *script;

	if (s->trying != NULL || s->queue != NULL ||
	    preflight_is_busy(s->preflight))
		return 0;
	for (script = s->first; script != NULL; script = script->next) {
		if (script->removed || script->parked || script->unloadable)
			continue;
		if (script->coming != NULL || script->pending != NULL ||
		    (script->live != NULL && script->bundle == NULL))
			return 0;
	}
	return 1;
}

void
scripts_check_settled(struct scripts *s)
{
	if (!s->unsettled || s->stopping || !scripts_are_settled(s))
		return;
	s->unsettled = 0;
	s->options.settled(s->options.cookie);
}

struct scripts *
scripts_create(const struct scripts_options *options, struct workers *workers)
{
	struct scripts *s = mem_zalloc(sizeof(*s));
	char name[32];
	unsigned int i;

	s->options = *options;
	s->workers = workers;
	s->last = &s->first;
	s->queue_last = &s->queue;
	s->deadline = event_new(options->base, -1, 0, scripts_on_deadline, s);
	s->reload = event_new(options->base, -1, 0, scripts_on_reload, s);
	s->preflight = preflight_create(&(struct preflight_options){
	    .base = options->base,
	    .catalog = options->catalog,
	    .cookie = s,
	    .done = scripts_on_tested,
	    .worker = scripts_tests_worker,
	});
	s->spare = scripts_lane_add(s, LANE_SPARE, "spare", NULL);
	for (i = 0; i < options->workers; i++) {
		(void)snprintf(name, sizeof(name), "worker-%u", i + 1);
		(void)scripts_lane_add(s, LANE_NORMAL, name, NULL);
	}
	return s;
}

void
scripts_stop(struct scripts *s)
{
	s->stopping = 1;
	(void)event_del(s->deadline);
	(void)event_del(s->reload);
	preflight_stop(s->preflight);
}

void
scripts_free(struct scripts *s)
{
	struct script *script;
	struct bundle *b;
	struct lane *lane;

	if (s == NULL)
		return;
	preflight_free(s->preflight);
	while ((b = s->bundles) != NULL) {
		s->bundles = b->next;
		version_unref(b->version);
		free(b);
	}
	while ((script = s->first) != NULL) {
		s->first = script->next;
		version_unref(script->live);
		version_unref(script->pending);
		version_unref(script->wanted);
		version_unref(script->seen);
		free(script->error);
		free(script->integration);
		free(script->name);
		free(script);
	}
	while ((lane = s->lanes) != NULL) {
		s->lanes = lane->next;
		free(lane);
	}
	version_unref(s->trying_version);
	event_free(s->deadline);
	event_free(s->reload);
	free(s);
}

struct script *
scripts_first(const struct scripts *s)
{
	return s->first;
}

struct script *
scripts_find(const struct scripts *s, const char *integration, const char *name)
{
	struct script *script;

	for (script = s->first; script != NULL; script = script->next)
		if (strcmp(script->name, name) == 0 &&
		    strcmp(script->integration, integration) == 0)
			return script;
	return NULL;
}

static struct script *
add(struct scripts *s, const char *integration, const char *name)
{
	struct script *script = mem_zalloc(sizeof(*script));
	struct err err = ERR_INIT;

	script->integration = mem_strdup(integration);
	script->name = mem_strdup(name);
	script->paused =
	    version_is_paused(s->options.data_dir, integration, name);
	script->unsafe =
	    s->options.unsafe != NULL &&
	    s->options.unsafe(s->options.cookie, integration, name);
	*s->last = script;
	s->last = &script->next;

	/* What it handled before a restart waits for it from the start. */
	if (version_load(s->options.data_dir, integration, name, &script->live,
		&err) == -1 &&
	    err.code != ERR_NOT_FOUND)
		log_warn("cannot read the last good version of a script",
		    LOG_STR("script", name), LOG_STR("error", err.msg));
	s->options.added(s->options.cookie, script);
	return script;
}

/* Whether the tests of the script are others, where those count. */
static int
has_new_tests(const struct scripts *s, const struct script *script,
    const struct source *source)
{
	const struct source_file *then, *now;
	char *name;

	if (s->options.preflight != PREFLIGHT_TEST)
		return 0;
	name = mem_printf("%s_test", script->name);
	then = source_test(script->seen->source, name);
	now = source_test(source, name);
	free(name);
	if (!source_file_same(then, now))
		return 1;
	/* A new save of tests that failed is a new chance. */
	return script->error != NULL && then != NULL &&
	       then->saved_ns != now->saved_ns;
}

/* Whether what is in the folder has to be tried. */
static int
is_news(const struct scripts *s, const struct script *script,
    const struct source *source, const struct source_file *file)
{
	if (script->seen == NULL || script->removed ||
	    has_new_tests(s, script, source))
		return 1;
	/* One in trouble gets a new chance by any new save. */
	if (script->error != NULL || script->parked)
		return !version_same(script->seen, source, file, 1);
	/* What it requires is known once it was loaded. */
	if (script->seen != script->live && script->seen != script->pending)
		return !version_same(script->seen, source, file, 1);
	return !version_same(script->seen, source, file, 0);
}

static void
update_one(struct scripts *s, struct script *script, struct source *source,
    const struct source_file *file)
{
	struct version *version;

	if (!is_news(s, script, source, file))
		return;
	version = version_create(source, file);
	scripts_set_version(&script->seen, version);
	script->removed = 0;
	script->parked = 0;
	script->strikes = 0;
	if (file->error != NULL) {
		scripts_set_version(&script->wanted, NULL);
		scripts_fail(
		    s, script, SCRIPTS_FAILED_TO_LOAD, file->error, NULL);
	} else {
		scripts_want(s, script, version);
	}
	version_unref(version);
}

static void
forget(struct scripts *s, struct script *script)
{
	script->removed = 1;
	script->parked = 0;
	script->strikes = 0;
	scripts_set_error(script, NULL);
	scripts_set_version(&script->wanted, NULL);
	scripts_set_version(&script->pending, NULL);
	scripts_set_version(&script->live, NULL);
	scripts_set_version(&script->seen, NULL);
	scripts_retire(s, script->coming);
	scripts_retire(s, script->bundle);
	scripts_set_lane(script, NULL);
	script->clashes = 0;
	scripts_retry_clashes(s, script->integration);
	log_info("script removed", LOG_STR("script", script->name),
	    LOG_STR("integration", script->integration));
	s->options.state(s->options.cookie, script);
}

void
scripts_update(
    struct scripts *s, const char *integration, struct source *source)
{
	const struct source_file *files;
	struct script *script;
	size_t i, n;
	int lost = 0, fresh = 0;

	s->unsettled = 1;
	files = source_scripts(source, &n);
	for (i = 0; i < n; i++) {
		script = scripts_find(s, integration, files[i].name);
		if (script == NULL) {
			script = add(s, integration, files[i].name);
			fresh = 1;
		}
		update_one(s, script, source, &files[i]);
	}
	for (script = s->first; script != NULL; script = script->next) {
		if (script->removed ||
		    strcmp(script->integration, integration) != 0 ||
		    source_script(source, script->name) != NULL)
			continue;
		forget(s, script);
		lost = 1;
	}
	s->options.changed(s->options.cookie);
	scripts_try_next(s);
	if (lost || fresh)
		version_sweep(s->options.data_dir, integration, source);
	scripts_check_settled(s);
}

int
scripts_add_gone(struct scripts *s, const char *integration, const char *name)
{
	struct script *script;

	if (scripts_find(s, integration, name) != NULL)
		return 0;
	script = add(s, integration, name);
	script->removed = 1;
	scripts_set_version(&script->live, NULL);
	s->options.state(s->options.cookie, script);
	return 1;
}

void
scripts_charge(struct scripts *s, struct script *script, const char *why)
{
	char text[256];

	if (++script->strikes < DECIDE_PARK_AFTER || script->parked ||
	    script->removed)
		return;
	(void)snprintf(text, sizeof(text),
	    "parked: its worker %.150s, %u times in a row; save it again or "
	    "resume it",
	    why, script->strikes);
	script->parked = 1;
	scripts_set_version(&script->pending, NULL);
	scripts_retire(s, script->coming);
	scripts_retire(s, script->bundle);
	scripts_set_error(script, text);
	log_error("script parked", LOG_STR("script", script->name),
	    LOG_STR("integration", script->integration),
	    LOG_STR("error", text));
	s->options.state(s->options.cookie, script);
}

void
scripts_absolve(struct script *script)
{
	if (!script->parked)
		script->strikes = 0;
}

void
scripts_set_slow(struct scripts *s, struct script *script)
{
	/* One that is alone delays nobody. */
	if (script->lane == NULL || script->lane->kind == LANE_SLOW ||
	    script->unsafe || script->removed || s->stopping)
		return;
	if (s->slow == NULL)
		s->slow = scripts_lane_add(s, LANE_SLOW, "slow", NULL);
	log_info("script moves to the slow lane",
	    LOG_STR("script", script->name),
	    LOG_STR("integration", script->integration));
	/* What waits for the worker comes back, and goes to the slow lane too:
	 * each of those jobs may be as long. */
	s->unsettled = 1;
	scripts_retire(s, script->bundle);
	scripts_set_lane(script, s->slow);
	scripts_load(s, script);
}

int
scripts_pause(
    struct scripts *s, struct script *script, int paused, struct err *err)
{
	if (version_set_paused(s->options.data_dir, script->integration,
		script->name, paused, err) == -1)
		return -1;
	script->paused = paused;
	if (!paused && script->parked) {
		script->parked = 0;
		script->strikes = 0;
		scripts_set_error(script, NULL);
		scripts_load(s, script);
	}
	s->options.state(s->options.cookie, script);
	if (script_is_servable(script))
		s->options.servable(s->options.cookie, script);
	return 0;
}
