#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "catalog/catalog.h"
#include "dispatch/decide.h"
#include "dispatch/version.h"
#include "net/loop.h"
#include "schedule/plan.h"
#include "sentry/ui_schema.h"
#include "wire/proto.h"
#include "wire/source.h"

#include "dispatch/scripts_internal.h"

/* A good version that did not load in its worker is tried again after. */
#define RELOAD_MS 5000

/* ---- bundles ----------------------------------------------------------- */

static void
send_load(struct worker *worker, const struct script *script,
    const struct version *version, uint64_t id)
{
	struct proto_load load;

	source_fill(version->source, version->file, script->integration, &load);
	proto_put_load(worker_out(worker), id, &load);
	worker_flush(worker);
	free(load.libs);
}

static void
send_unload(struct worker *worker, uint64_t id)
{
	proto_put_plain(worker_out(worker), PROTO_UNLOAD, id);
	worker_flush(worker);
}

static struct bundle *
bundle_create(struct scripts *s, struct script *script, struct version *version)
{
	struct bundle *b = mem_zalloc(sizeof(*b));

	b->id = BUNDLE_BIT | ++s->next_bundle;
	b->script = script;
	b->lane = script->lane;
	b->version = version_ref(version);
	b->loading = 1;
	b->next = s->bundles;
	s->bundles = b;
	return b;
}

/* Free it if nobody will speak of it any more. */
static void
bundle_drop(struct scripts *s, struct bundle *b)
{
	struct bundle **at;

	if (!b->retired || b->loading || b->nruns > 0)
		return;
	for (at = &s->bundles; *at != b; at = &(*at)->next)
		continue;
	*at = b->next;
	version_unref(b->version);
	free(b);
}

void
scripts_retire(struct scripts *s, struct bundle *b)
{
	if (b == NULL)
		return;
	if (b->script->bundle == b)
		b->script->bundle = NULL;
	if (b->script->coming == b)
		b->script->coming = NULL;
	b->retired = 1;
	send_unload(b->lane->worker, b->id);
	bundle_drop(s, b);
}

struct bundle *
scripts_bundle(
    const struct scripts *s, const struct worker *worker, uint64_t id)
{
	struct bundle *b;

	for (b = s->bundles; b != NULL; b = b->next)
		if (b->id == id && b->lane->worker == worker)
			return b;
	return NULL;
}

const char *
scripts_trying(
    const struct scripts *s, const struct worker *worker, uint64_t id)
{
	if (s->trying == NULL || s->trying_id != id ||
	    s->trying_lane->worker != worker)
		return NULL;
	return s->trying->integration;
}

void
scripts_hold(struct bundle *b)
{
	b->nruns++;
}

void
scripts_release(struct scripts *s, struct bundle *b)
{
	b->nruns--;
	bundle_drop(s, b);
}

int
scripts_is_echo(const struct scripts *s, const struct worker *worker,
    const struct proto_log *log)
{
	const struct bundle *b;

	for (b = s->bundles; b != NULL; b = b->next)
		if (b->lane->worker == worker && b->loading &&
		    log->script != NULL &&
		    strcmp(b->script->name, log->script) == 0)
			return 1;
	return 0;
}

/* ---- lanes ------------------------------------------------------------- */

struct lane *
scripts_lane_add(struct scripts *s, enum lane_kind kind, const char *name,
    const struct script *owner)
{
	struct lane *lane = mem_zalloc(sizeof(*lane));
	struct lane **at;

	for (at = &s->lanes; *at != NULL; at = &(*at)->next)
		continue;
	*at = lane;
	lane->kind = kind;
	lane->owner = owner;
	lane->worker = workers_add(s->workers, name, owner != NULL);
	return lane;
}

/* The lane of that kind for ${script}, which is its own if it is unsafe, and
 * made when it is first needed. */
static struct lane *
lane_for(struct scripts *s, const struct script *script, enum lane_kind kind,
    const char *name)
{
	const struct script *owner = script->unsafe ? script : NULL;
	const char *in = script->integration;
	struct lane *lane;
	char *full;

	for (lane = s->lanes; lane != NULL; lane = lane->next)
		if (lane->kind == kind && lane->owner == owner)
			return lane;
	if (owner == NULL)
		return scripts_lane_add(s, kind, name, NULL);
	full = strcmp(in, "default") == 0
		   ? mem_printf("unsafe:%s:%s", script->name, name)
		   : mem_printf("unsafe:%s/%s:%s", in, script->name, name);
	lane = scripts_lane_add(s, kind, full, owner);
	free(full);
	return lane;
}

struct lane *
scripts_lanes(const struct scripts *s)
{
	return s->lanes;
}

struct lane *
scripts_lane_of(const struct scripts *s, const struct worker *worker)
{
	struct lane *lane;

	for (lane = s->lanes; lane->worker != worker; lane = lane->next)
		continue;
	return lane;
}

/* The normal lane with the fewest scripts. */
static struct lane *
pick_lane(const struct scripts *s)
{
	unsigned int *loads = mem_array(s->options.workers, sizeof(*loads));
	struct lane **lanes =
	    mem_array(s->options.workers, sizeof(struct lane *));
	struct lane *lane;
	size_t n = 0;

	for (lane = s->lanes; lane != NULL; lane = lane->next) {
		if (lane->kind != LANE_NORMAL || lane->owner != NULL)
			continue;
		lanes[n] = lane;
		loads[n++] = lane->nscripts;
	}
	lane = lanes[decide_place(loads, n)];
	free(lanes);
	free(loads);
	return lane;
}

void
scripts_set_lane(struct script *script, struct lane *lane)
{
	if (script->lane != NULL)
		script->lane->nscripts--;
	if (lane != NULL)
		lane->nscripts++;
	script->lane = lane;
}

/* ---- the life of a version --------------------------------------------- */

void
scripts_fail(struct scripts *s, struct script *script, const char *what,
    const char *error, const char *traceback)
{
	const char *serving = script->live == NULL ? NULL : script->live->id;

	/* The same save is told once, however often it is tried. */
	if (script->error == NULL || strcmp(script->error, error) != 0)
		log_error(what, LOG_STR("script", script->name),
		    LOG_STR("integration", script->integration),
		    LOG_STR("error", error), LOG_OPT("traceback", traceback),
		    LOG_OPT("serving", serving));
	scripts_set_error(script, error);
	scripts_load(s, script);
	s->options.state(s->options.cookie, script);
}

/* A handler that nothing will ever call is a slip of the pen. */
static void
warn_of_unknown_handlers(const struct scripts *s, const struct script *script)
{
	const struct version *v = script->live;
	const char *const *known;
	size_t i, k, n;

	known = catalog_handler_names(s->options.catalog, &n);
	for (i = 0; i < v->nhandlers; i++) {
		for (k = 0; k < n && strcmp(known[k], v->handlers[i]) != 0; k++)
			continue;
		if (k < n || strcmp(v->handlers[i], CATALOG_FIRE) == 0 ||
		    strcmp(v->handlers[i], CATALOG_ON_OAUTH) == 0)
			continue;
		log_warn("unknown handler", LOG_STR("script", script->name),
		    LOG_STR("integration", script->integration),
		    LOG_STR("handler", v->handlers[i]),
		    LOG_OPT(
			"did_you_mean", str_closest(v->handlers[i], known, n)));
	}
}

/* Nobody should have to remember which one it was. */
static void
warn_if_unsafe(const struct script *script)
{
	if (script->unsafe)
		log_warn("script runs without the sandbox",
		    LOG_STR("script", script->name),
		    LOG_STR("integration", script->integration),
		    LOG_STR("why", "--unsafe-stdlib names it: it can do what "
				   "the user can that moonpost runs as"));
}

/* The coming bundle is there: it serves from now on. */
static void
take_over(struct scripts *s, struct script *script)
{
	struct bundle *old = script->bundle;
	struct bundle *b = script->coming;
	int is_new = b->version == script->pending;
	struct err err = ERR_INIT;

	script->coming = NULL;
	script->unloadable = 0;
	scripts_retire(s, old);
	script->bundle = b;
	if (is_new) {
		scripts_set_version(&script->live, b->version);
		scripts_set_version(&script->pending, NULL);
		script->live->loaded_unix_ms = clock_unix_ms();
		/* A later save may have failed meanwhile. */
		if (script->seen == script->live)
			scripts_set_error(script, NULL);
		/* Deliveries find it before anybody reads that it is live. */
		s->options.changed(s->options.cookie);
		log_info("script loaded", LOG_STR("script", script->name),
		    LOG_STR("integration", script->integration),
		    LOG_STR("version", script->live->id));
		warn_if_unsafe(script);
		warn_of_unknown_handlers(s, script);
		scripts_retry_clashes(s, script->integration);
		s->options.state(s->options.cookie, script);
	} else if (script->live->loaded_unix_ms == 0) {
		script->live->loaded_unix_ms = clock_unix_ms();
	}
	s->options.servable(s->options.cookie, script);

	/* It is live already: what follows may take the disk's time. */
	if (is_new && version_save(script->live, s->options.data_dir,
			  script->integration, &err) == -1)
		log_warn("cannot keep the last good version of a script",
		    LOG_STR("script", script->name), LOG_STR("error", err.msg));
}

void
scripts_load(struct scripts *s, struct script *script)
{
	struct version *version =
	    script->pending != NULL ? script->pending : script->live;

	if (version == NULL || script->removed || script->parked || s->stopping)
		return;
	if (script->lane == NULL)
		scripts_set_lane(script,
		    script->unsafe ? lane_for(s, script, LANE_NORMAL, "worker")
				   : pick_lane(s));

	/* Nothing to do if it is there already, or on its way. */
	if (script->coming != NULL && script->coming->version == version &&
	    script->coming->lane == script->lane)
		return;
	if (script->coming == NULL && script->bundle != NULL &&
	    script->bundle->version == version &&
	    script->bundle->lane == script->lane)
		return;
	scripts_retire(s, script->coming);
	if (!worker_is_ready(script->lane->worker))
		return;
	script->coming = bundle_create(s, script, version);
	send_load(script->lane->worker, script, version, script->coming->id);
}

/* The version that was tried in the spare worker loads. */
static void
accept_version(
    struct scripts *s, struct script *script, struct version *version)
{
	scripts_set_version(&script->pending, version);
	/* A new version gets a new chance beside the others. */
	if (script->lane != NULL && script->lane->kind == LANE_SLOW)
		scripts_set_lane(script, pick_lane(s));
	scripts_load(s, script);
}

void
scripts_retry_clashes(struct scripts *s, const char *integration)
{
	struct script *script;

	for (script = s->first; script != NULL; script = script->next) {
		if (!script->clashes || script->removed ||
		    script->seen == NULL || script->wanted != NULL ||
		    strcmp(script->integration, integration) != 0)
			continue;
		s->unsettled = 1;
		scripts_want(s, script, script->seen);
	}
}

/* Whether ${version} declares a component that another script does.  Returns
 * -1, and ${err} names both, if so. */
static int
check_clash(const struct scripts *s, const struct script *script,
    const struct version *version, struct err *err)
{
	const struct ui_script ours = {version->file->chunk, version->declared};
	const struct version *other;
	const struct script *at;
	struct ui_script theirs;

	for (at = s->first; at != NULL; at = at->next) {
		other = at->pending != NULL ? at->pending : at->live;
		if (at == script || at->removed || other == NULL ||
		    strcmp(at->integration, script->integration) != 0)
			continue;
		theirs =
		    (struct ui_script){other->file->chunk, other->declared};
		if (ui_conflict(&ours, &theirs, 1, err) == -1)
			return -1;
	}
	return 0;
}

/* What was found out of ${version}: ${error} is NULL, or says why it is not
 * served. */
static void
conclude(struct scripts *s, struct script *script, struct version *version,
    const char *what, const char *error, const char *traceback)
{
	struct err err = ERR_INIT;

	/* Meanwhile another save may have come, or the file may be gone. */
	if (script->removed || script->seen != version)
		return;
	script->clashes =
	    error == NULL && check_clash(s, script, version, &err) == -1;
	if (script->clashes)
		error = err.msg;
	if (error == NULL)
		accept_version(s, script, version);
	else
		scripts_fail(s, script, what, error, traceback);
}

void
scripts_on_tested(void *cookie, struct script *script, struct version *version,
    const char *error)
{
	struct scripts *s = cookie;

	/* Only the tests are others: what is served may go on as it is. */
	if (error == NULL && !script->removed && script->seen == version &&
	    script->bundle != NULL && script->bundle->version == script->live &&
	    script->pending == NULL &&
	    version_same(script->live, version->source, version->file, 0)) {
		scripts_set_error(script, NULL);
		s->options.state(s->options.cookie, script);
	} else {
		conclude(s, script, version, SCRIPTS_FAILED_TESTS, error, NULL);
	}
	scripts_check_settled(s);
}

struct worker *
scripts_tests_worker(void *cookie, const struct script *script)
{
	return lane_for(cookie, script, LANE_TESTS, "tests")->worker;
}

/* The trial is over: ${error} is NULL, or says why it does not load. */
static void
end_trial(struct scripts *s, const char *error, const char *traceback)
{
	struct script *script = s->trying;
	struct version *version = s->trying_version;

	s->trying = NULL;
	s->trying_version = NULL;
	(void)event_del(s->deadline);
	if (error == NULL && !script->removed && script->seen == version &&
	    s->options.preflight == PREFLIGHT_TEST &&
	    preflight_has_tests(version)) {
		preflight_want(s->preflight, script, version);
		/* At a start the last good one serves until they have run. */
		scripts_load(s, script);
	} else {
		conclude(s, script, version, SCRIPTS_FAILED_TO_LOAD, error,
		    traceback);
	}
	version_unref(version);
	scripts_try_next(s);
	scripts_check_settled(s);
}

void
scripts_on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct scripts *s = arg;
	char text[256];

	(void)fd;
	(void)what;
	(void)snprintf(text, sizeof(text),
	    "%.150s: did not finish loading within %g s",
	    s->trying_version->file->chunk, (double)s->options.load_ms / 1000);
	worker_kill(
	    s->trying_lane->worker, "did not finish loading a script", 0);
	end_trial(s, text, NULL);
}

/* Nothing is asked of a version: it goes where it will serve. */
static void
try_nothing(struct scripts *s, struct script *script)
{
	struct version *version = script->wanted;

	script->wanted = NULL;
	accept_version(s, script, version);
	version_unref(version);
}

/* Take the first one out of the queue whose spare worker is ready. */
static struct script *
take_next(struct scripts *s, struct lane **ret_lane)
{
	struct script *script, **at;

	for (at = &s->queue; (script = *at) != NULL; at = &script->queue_next) {
		*ret_lane = lane_for(s, script, LANE_SPARE, "spare");
		if (worker_is_ready((*ret_lane)->worker))
			break;
	}
	if (script == NULL)
		return NULL;
	*at = script->queue_next;
	if (*at == NULL)
		s->queue_last = at;
	script->queued = 0;
	return script;
}

void
scripts_try_next(struct scripts *s)
{
	struct script *script;
	struct lane *lane;

	while (s->trying == NULL && !s->stopping &&
	       (script = take_next(s, &lane)) != NULL) {
		if (script->wanted == NULL)
			continue;
		if (s->options.preflight == PREFLIGHT_OFF) {
			try_nothing(s, script);
			continue;
		}
		s->trying = script;
		s->trying_version = script->wanted;
		script->wanted = NULL;
		s->trying_id = BUNDLE_BIT | ++s->next_bundle;
		s->trying_lane = lane;
		send_load(
		    lane->worker, script, s->trying_version, s->trying_id);
		(void)loop_arm(s->deadline, s->options.load_ms);
	}
}

void
scripts_want(struct scripts *s, struct script *script, struct version *version)
{
	scripts_set_version(&script->wanted, version);
	if (script->queued)
		return;
	script->queued = 1;
	script->queue_next = NULL;
	*s->queue_last = script;
	s->queue_last = &script->queue_next;
}

/* ---- what workers say -------------------------------------------------- */

void
scripts_worker_ready(struct scripts *s, struct worker *worker)
{
	struct script *script;

	if (scripts_lane_of(s, worker)->kind == LANE_SPARE) {
		scripts_try_next(s);
		return;
	}
	preflight_ready(s->preflight, worker);
	for (script = s->first; script != NULL; script = script->next)
		if (script->lane != NULL && script->lane->worker == worker)
			scripts_load(s, script);
}

/* A version that is known to load did not, in its own worker. */
static void
lane_failed(
    struct scripts *s, struct bundle *b, const struct proto_loaded *loaded)
{
	struct script *script = b->script;
	int was_pending = b->version == script->pending;

	script->coming = NULL;
	if (was_pending)
		scripts_set_version(&script->pending, NULL);
	b->retired = 1;
	bundle_drop(s, b);
	if (was_pending) {
		scripts_fail(s, script, SCRIPTS_FAILED_TO_LOAD, loaded->error,
		    loaded->traceback);
	} else {
		log_warn("last good version of a script does not load",
		    LOG_STR("script", script->name),
		    LOG_STR("error", loaded->error));
		script->unloadable = 1;
		(void)loop_arm(s->reload, RELOAD_MS);
	}
}

/* Whether there is such a time zone is for us to say: a worker reads no files.
 */
static void
check_schedules(struct proto_loaded *loaded)
{
	struct err err = ERR_INIT;
	struct plans plans;

	if (loaded->error != NULL)
		return;
	if (plans_read(loaded->declared, NULL, &plans, &err) == -1)
		loaded->error = mem_strdup(err.msg);
	else
		plans_clear(&plans);
}

/* A version that was not tried anywhere before: what it offers is known now. */
static void
first_look(struct scripts *s, struct bundle *b, struct proto_loaded *loaded)
{
	struct script *script = b->script;
	struct err err = ERR_INIT;

	if (b->version != script->pending)
		return;
	version_set_loaded(b->version, loaded);
	script->clashes = check_clash(s, script, b->version, &err) == -1;
	if (!script->clashes)
		return;
	loaded->error = mem_strdup(err.msg);
	send_unload(b->lane->worker, b->id);
}

int
scripts_worker_tested(
    struct scripts *s, struct worker *worker, const struct ipc_frame *frame)
{
	if (scripts_lane_of(s, worker)->kind != LANE_TESTS)
		return -1;
	return preflight_frame(s->preflight, worker, frame);
}

int
scripts_worker_loaded(
    struct scripts *s, struct worker *worker, uint64_t id, struct str payload)
{
	struct proto_loaded loaded;
	struct bundle *b = scripts_bundle(s, worker, id);

	if (proto_get_loaded(payload, &loaded) == -1)
		return -1;
	check_schedules(&loaded);
	if (s->trying != NULL && worker == s->trying_lane->worker &&
	    id == s->trying_id) {
		send_unload(worker, id);
		if (loaded.error == NULL)
			version_set_loaded(s->trying_version, &loaded);
		end_trial(s, loaded.error, loaded.traceback);
	} else if (b != NULL && b->loading) {
		b->loading = 0;
		if (s->options.preflight == PREFLIGHT_OFF &&
		    loaded.error == NULL && b == b->script->coming)
			first_look(s, b, &loaded);
		if (b != b->script->coming)
			bundle_drop(s, b);
		else if (loaded.error != NULL)
			lane_failed(s, b, &loaded);
		else
			take_over(s, b->script);
		scripts_try_next(s);
	}
	proto_loaded_clear(&loaded);
	scripts_check_settled(s);
	return 0;
}

/* Forget what was loaded in a worker that is gone. */
static void
lose_bundles(struct scripts *s, const struct worker *worker)
{
	struct bundle *b, *next;

	for (b = s->bundles; b != NULL; b = next) {
		next = b->next;
		if (b->lane->worker != worker)
			continue;
		if (b->script->bundle == b)
			b->script->bundle = NULL;
		if (b->script->coming == b)
			b->script->coming = NULL;
		b->retired = 1;
		b->loading = 0;
		bundle_drop(s, b);
	}
}

void
scripts_worker_died(
    struct scripts *s, struct worker *worker, const struct workers_death *death)
{
	struct script *script, *guilty = NULL;
	struct bundle *b;
	char text[512];

	/* Top-level code that was good in the spare can still do it. */
	b = scripts_bundle(s, worker, death->id);
	if (death->by_itself && death->activity == PROTO_IN_LOAD && b != NULL)
		guilty = b->script;
	lose_bundles(s, worker);
	preflight_died(s->preflight, worker, death);
	if (s->trying != NULL && worker == s->trying_lane->worker) {
		(void)snprintf(text, sizeof(text),
		    "%.150s: the worker that loaded it %.200s",
		    s->trying_version->file->chunk, death->how);
		if (death->by_itself && death->activity == PROTO_IN_LOAD) {
			end_trial(s, text, NULL);
		} else {
			/* Not its fault: once more, in the next one. */
			script = s->trying;
			s->trying = NULL;
			(void)event_del(s->deadline);
			if (script->wanted == NULL && !script->removed)
				scripts_want(s, script, s->trying_version);
			version_unref(s->trying_version);
			s->trying_version = NULL;
		}
	}
	if (guilty != NULL)
		scripts_charge(s, guilty, death->how);
	scripts_check_settled(s);
}

void
scripts_on_reload(evutil_socket_t fd, short what, void *arg)
{
	struct scripts *s = arg;
	struct script *script;

	(void)fd;
	(void)what;
	for (script = s->first; script != NULL; script = script->next)
		if (script->bundle == NULL)
			scripts_load(s, script);
}
