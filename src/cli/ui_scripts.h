#ifndef CLI_UI_SCRIPTS_H_
#define CLI_UI_SCRIPTS_H_

/*
 * The scripts of one integration that declare UI components, loaded in a worker
 * process, for the commands that show what they declare.
 *
 * Floor: 7 (cli).  May include everything.
 */

#include <stddef.h>

#include "base/compiler.h"

#include "sentry/ui_schema.h"

struct cmd_call;
struct err;
struct source;

/* One that declares something: the texts are ours. */
struct ui_scripts {
	struct ui_script *list;
	size_t n;
	size_t cap;
};

/**
 * ui_scripts_folder(call, integration, arg, err):
 * The folder of scripts, or the one script, that a command is about: ${arg} is
 * a path or the name of a script, NULL is all of them.
 *
 * Errors:    ERR_NOT_FOUND    there is no such script;
 *            ERR_INVALID      no such integration.
 * Ownership: the caller frees the result with free(); NULL after an error.
 */
char *ui_scripts_folder(const struct cmd_call *call, const char *integration,
    const char *arg, struct err *err) ATTR_MUSTCHECK;

/**
 * ui_scripts_load(call, path, ret, ret_problems, err):
 * Load what is at ${path} (a file, or a folder), each script in turn.
 *
 * Returns:   0; *${ret_problems} counts what was told on standard error: a
 *            script that does not load, two that declare the same.  Or -1.
 * Errors:    ERR_NOT_FOUND    there is nothing there;
 *            ERR_UNAVAILABLE  it cannot be read, or no worker can be had.
 * Ownership: the caller clears ${ret} with ui_scripts_clear(), in any case.
 */
int ui_scripts_load(const struct cmd_call *call, const char *path,
    struct ui_scripts *ret, size_t *ret_problems,
    struct err *err) ATTR_MUSTCHECK;

/* Add a script that declared something (copied); NULL is nothing. */
void ui_scripts_add(
    struct ui_scripts *scripts, const char *chunk, const char *declared);
void ui_scripts_clear(struct ui_scripts *scripts);

#endif /* !CLI_UI_SCRIPTS_H_ */
