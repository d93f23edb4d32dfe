#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#include "catalog/catalog.h"
#include "lint/lint.h"
#include "lint/lint_event.h"
#include "wire/proto.h"
#include "wire/remote.h"
#include "wire/source.h"

#include "cli/cmd.h"

#include "cli/check_lint.h"

#define PREFIX "on_"

/*
 * A worker tells which globals named on_* a script has made.  This one makes
 * one for each name that it found there, and in the tables there, so that what
 * the sandbox presets is known from the sandbox itself and from no second list.
 * A script has no more than PROBE_NAMES of them, so it is asked more than once.
 */
#define PROBE_NAMES 200
static const char probe[] = "local from, n, names = %zu, %d, {}\n"
			    "for name, value in pairs(_G) do\n"
			    "  names[#names + 1] = name\n"
			    "  if type(value) == 'table' and value ~= _G then\n"
			    "    for field in pairs(value) do\n"
			    "      names[#names + 1] = name .. '.' .. field\n"
			    "    end\n"
			    "  end\n"
			    "end\n"
			    "table.sort(names)\n"
			    "for i = from + 1, math.min(from + n, #names) do\n"
			    "  _G[\"" PREFIX "\" .. names[i]] = print\n"
			    "end\n";

struct names {
	char **v;
	size_t n;
	size_t cap;
};

struct linter {
	check_lint_cb *found;
	void *cookie;
	const char *file;
	struct lint_events *events;
};

static void
names_add(void *cookie, struct str name)
{
	struct names *names = cookie;

	names->v =
	    mem_grow(names->v, &names->cap, names->n + 1, sizeof(*names->v));
	names->v[names->n++] = mem_strndup(name.data, name.len);
}

static void
names_clear(struct names *names)
{
	size_t i;

	for (i = 0; i < names->n; i++)
		free(names->v[i]);
	free(names->v);
}

/* Ask for those from number ${from} on.  Returns how many came, or -1. */
static ptrdiff_t
ask_some_presets(struct remote *remote, const char *script, size_t from,
    struct names *names, struct err *err)
{
	char *source = mem_printf(probe, from, PROBE_NAMES);
	struct proto_load load = {
	    .integration = mem_strdup("default"),
	    .script = mem_strdup(script),
	    .chunk = mem_strdup("presets"),
	    .source = str_of(source),
	};
	struct proto_loaded loaded = {0};
	const char *handler;
	ptrdiff_t rc;
	size_t i;

	rc = remote_load(remote, &load, &loaded, err);
	if (rc == 0 && loaded.error != NULL)
		rc = err_set(err, ERR_INTERNAL, "%s", loaded.error);
	for (i = 0; rc == 0 && i < loaded.nhandlers; i++) {
		handler = loaded.handlers[i];
		names_add(names, str_of(handler + strlen(PREFIX)));
	}
	if (rc == 0) {
		rc = (ptrdiff_t)loaded.nhandlers;
		proto_loaded_clear(&loaded);
	}
	free(load.integration);
	free(load.script);
	free(load.chunk);
	free(source);
	return rc;
}

/* ${script} is whose they are: an unsafe one sees more. */
static int
ask_presets(struct remote *remote, const char *script, struct names *names,
    struct err *err)
{
	ptrdiff_t n;

	do
		n = ask_some_presets(remote, script, names->n, names, err);
	while (n == PROBE_NAMES);
	return n == -1 ? -1 : 0;
}

static void
report(void *cookie, unsigned int line, unsigned int column, const char *code,
    const char *message)
{
	const struct linter *linter = cookie;
	const struct check_finding found = {
	    linter->file, line, column, code, message};

	linter->found(linter->cookie, &found);
}

static void
lint_files(const struct source_file *files, size_t n, const struct names *known,
    const struct catalog *catalog, struct linter *linter)
{
	struct lint_known good = {
	    .globals = (const char *const *)known->v,
	    .globals_n = known->n,
	    .events = linter->events,
	};
	const char *const *handlers;
	const char **all;
	size_t i;

	handlers = catalog_handler_names(catalog, &good.handlers_n);
	all = mem_array(good.handlers_n + 1, sizeof(*all));
	for (i = 0; i < good.handlers_n; i++)
		all[i] = handlers[i];
	all[good.handlers_n++] = CATALOG_ON_OAUTH;
	good.handlers = all;
	for (i = 0; i < n; i++) {
		linter->file = files[i].chunk;
		lint_check(files[i].text, &good, report, linter);
	}
	free(all);
}

int
check_lint(const struct source *source, struct remote *remote,
    struct cmd_unsafe *unsafe, const struct catalog *catalog,
    check_lint_cb *found, void *cookie, struct err *err)
{
	struct linter linter = {found, cookie, NULL, NULL};
	const struct source_file *scripts, *libs;
	struct names known = {NULL, 0, 0}, more = {NULL, 0, 0};
	size_t nscripts, nlibs, i;
	int rc, is_unsafe;

	scripts = source_scripts(source, &nscripts);
	libs = source_libs(source, &nlibs);
	rc = ask_presets(remote, "", &known, err);
	for (i = 0; i < nscripts && rc == 0 && more.n == 0; i++)
		if (cmd_is_unsafe(unsafe, str_of(scripts[i].name)))
			rc = ask_presets(remote, scripts[i].name, &more, err);
	if (rc == -1)
		goto out;
	linter.events = lint_events_create(catalog);

	/* A script sees what a lib defines; a lib may count on its scripts, and
	 * on what the unsafe ones of them have. */
	for (i = 0; i < nlibs; i++) {
		lint_globals(libs[i].text, names_add, &known);
		lint_globals(libs[i].text, names_add, &more);
	}
	for (i = 0; i < nscripts; i++) {
		is_unsafe = cmd_is_unsafe(unsafe, str_of(scripts[i].name));
		lint_files(&scripts[i], 1, is_unsafe ? &more : &known, catalog,
		    &linter);
	}
	for (i = 0; i < nscripts; i++)
		lint_globals(scripts[i].text, names_add, &known);
	for (i = 0; i < more.n; i++)
		names_add(&known, str_of(more.v[i]));
	lint_files(libs, nlibs, &known, catalog, &linter);

out:
	lint_events_free(linter.events);
	names_clear(&known);
	names_clear(&more);
	return rc;
}
