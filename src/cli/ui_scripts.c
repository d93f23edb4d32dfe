#include <sys/stat.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#include "config/config.h"
#include "wire/proto.h"
#include "wire/remote.h"
#include "wire/source.h"

#include "cli/cmd.h"

#include "cli/ui_scripts.h"

/* As for `check`: a loop at the top level is no matter of milliseconds. */
#define DEADLINE_MS 10000

void
ui_scripts_add(
    struct ui_scripts *scripts, const char *chunk, const char *declared)
{
	if (declared == NULL)
		return;
	scripts->list = mem_grow(scripts->list, &scripts->cap, scripts->n + 1,
	    sizeof(*scripts->list));
	scripts->list[scripts->n++] =
	    (struct ui_script){mem_strdup(chunk), mem_strdup(declared)};
}

void
ui_scripts_clear(struct ui_scripts *scripts)
{
	size_t i;

	for (i = 0; i < scripts->n; i++) {
		free((void *)(uintptr_t)scripts->list[i].chunk);
		free((void *)(uintptr_t)scripts->list[i].declared);
	}
	free(scripts->list);
	*scripts = (struct ui_scripts){NULL, 0, 0};
}

char *
ui_scripts_folder(const struct cmd_call *call, const char *integration,
    const char *arg, struct err *err)
{
	const struct config_integration *in;
	struct stat st;
	char *path;

	if (arg != NULL && stat(arg, &st) == 0)
		return mem_strdup(arg);
	in = config_find_integration(
	    call->config, integration == NULL ? "default" : integration);
	if (in == NULL) {
		(void)err_set(err, ERR_INVALID,
		    "there is no integration '%s' in moonpost.lua",
		    integration);
		return NULL;
	}
	if (arg == NULL)
		return mem_strdup(in->scripts);
	path = mem_printf("%s/%s.lua", in->scripts, arg);
	if (stat(path, &st) == 0)
		return path;
	(void)err_set(err, ERR_NOT_FOUND,
	    "there is no file %s, and no script %s", arg, path);
	free(path);
	return NULL;
}

static void
tell(size_t *problems, const char *message)
{
	(*problems)++;
	cmd_put_visible(stderr, str_of(message));
	(void)fputc('\n', stderr);
}

/* Load one; return -1 if no worker can be had. */
static int
load_one(struct remote *remote, const struct source *source,
    const struct source_file *file, struct ui_scripts *ret,
    size_t *ret_problems, struct err *err)
{
	struct proto_loaded loaded = {0};
	struct err why = ERR_INIT;
	struct proto_load load;
	struct ui_script script;
	int rc;

	if (file->error != NULL) {
		tell(ret_problems, file->error);
		return 0;
	}
	source_fill(source, file, "default", &load);
	rc = remote_load(remote, &load, &loaded, &why);
	free(load.libs);
	if (rc == -1 && why.code == ERR_UNAVAILABLE)
		return err_set(err, why.code, "%s", why.msg);
	script = (struct ui_script){file->chunk, loaded.declared};
	if (rc == 0 && loaded.error != NULL)
		rc = err_set(&why, ERR_INVALID, "%s", loaded.error);
	if (rc == 0)
		rc = ui_conflict(&script, ret->list, ret->n, &why);
	if (rc == -1)
		tell(ret_problems, why.msg);
	else
		ui_scripts_add(ret, file->chunk, loaded.declared);
	proto_loaded_clear(&loaded);
	return 0;
}

/* Secrets are of no interest here: an address, as most are, to nowhere. */
static const char *
stand_in(void *cookie, const char *name)
{
	(void)cookie;
	(void)name;
	return "https://secret.invalid/";
}

int
ui_scripts_load(const struct cmd_call *call, const char *path,
    struct ui_scripts *ret, size_t *ret_problems, struct err *err)
{
	struct cmd_unsafe unsafe;
	const struct remote_options options = {
	    .setup = {.mem_bytes = call->config->memory_limit,
		.cpu_ms = call->config->cpu_limit_ms,
		.slow_ms = call->config->cpu_limit_ms,
		.handler_ms = DEADLINE_MS},
	    .deadline_ms = DEADLINE_MS,
	    .secret = stand_in,
	    .unsafe = cmd_is_unsafe,
	    .cookie = &unsafe,
	};
	const struct source_file *files;
	struct source *source;
	struct remote *remote;
	struct stat st;
	size_t i, n;
	int rc = 0, one;

	*ret = (struct ui_scripts){NULL, 0, 0};
	*ret_problems = 0;
	one = stat(path, &st) == 0 && S_ISREG(st.st_mode);
	if ((one ? source_one(path, &source, err)
		 : source_scan(path, &source, err)) == -1)
		return -1;
	cmd_unsafe_find(call->config, path, &unsafe);
	remote = remote_open(&options);
	files = source_scripts(source, &n);
	for (i = 0; i < n && rc == 0; i++)
		rc =
		    load_one(remote, source, &files[i], ret, ret_problems, err);
	remote_close(remote);
	source_unref(source);
	return rc;
}
