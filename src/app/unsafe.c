#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#include "config/config.h"
#include "dispatch/dispatch.h"
#include "wire/wall.h"

#include "app/unsafe.h"

void
app_unsafe_begin(const struct config *config)
{
	size_t i;

	if (config->unsafe_stdlib.n == 0)
		return;
	wall_hide();
	for (i = 0; i < config->unsafe_stdlib.n; i++)
		log_warn("a script is to run without the sandbox: it can read, "
			 "write and run what the user can that moonpost runs "
			 "as",
		    LOG_STR("script", config->unsafe_stdlib.items[i]),
		    LOG_STR("option", "unsafe-stdlib"));
}

/* The name in the integration that is closest to ${name}, or NULL. */
static const char *
closest(
    const struct dispatch *dispatch, const char *integration, const char *name)
{
	struct dispatch_script script;
	const char **names = NULL, *found;
	size_t n = 0, cap = 0, i;

	for (i = 0; dispatch_script_at(dispatch, i, &script) == 0; i++) {
		if (strcmp(script.integration, integration) != 0)
			continue;
		names = mem_grow(names, &cap, n + 1, sizeof(*names));
		names[n++] = script.name;
	}
	found = str_closest(name, names, n);
	free(names);
	return found;
}

static void
look_at(const struct config *config, const struct dispatch *dispatch,
    const char *item)
{
	const char *slash = strchr(item, '/');
	const char *name = slash == NULL ? item : slash + 1;
	char *integration = slash == NULL
				? mem_strdup("default")
				: mem_strndup(item, (size_t)(slash - item));
	struct dispatch_script script;

	if (config_find_integration(config, integration) == NULL)
		log_warn("unsafe-stdlib names no integration of moonpost.lua",
		    LOG_STR("script", item),
		    LOG_STR("integration", integration));
	else if (dispatch_script_find(dispatch, integration, name, &script) ==
		     -1 ||
		 strcmp(script.state, "removed") == 0)
		log_warn(
		    "unsafe-stdlib names a script that is not there (yet): "
		    "its name is that of the file without .lua",
		    LOG_STR("script", item),
		    LOG_OPT(
			"did_you_mean", closest(dispatch, integration, name)));
	free(integration);
}

void
app_unsafe_look(const struct config *config, const struct dispatch *dispatch)
{
	size_t i;

	for (i = 0; i < config->unsafe_stdlib.n; i++)
		look_at(config, dispatch, config->unsafe_stdlib.items[i]);
}
