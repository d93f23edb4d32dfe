#ifndef SCRIPT_SANDBOX_H_
#define SCRIPT_SANDBOX_H_

/*
 * What a script can see: Lua's own libraries without what reaches the machine
 * or escapes a limit, some of their functions replaced, and our modules.  Every
 * library is read-only, and so are the methods of strings.  A script that the
 * user has exempted (--unsafe-stdlib) has io, debug, package and the rest, too.
 *
 * A new module is a file l_NAME.c with an opener, and one row in sandbox.c.
 *
 * Floor: 4 (script), private.
 */

#include <lua.h>

/* Names in the registry. */
#define SANDBOX_MODULES "moonpost.modules" /* name -> what require returns */
#define SANDBOX_REQUIRE                                                        \
	"moonpost.require" /* Lua's own, in an unsafe state; or nil. */

/**
 * sandbox_open(L):
 * A lua_CFunction: fill a new state.  If that is unsafe (struct vm_limits), the
 * libraries that reach the machine are there, too; what is replaced because a
 * limit would not hold stays replaced.
 *
 * Lua stack: [-0, +0, e]
 */
int sandbox_open(lua_State *L);

/**
 * sandbox_seal(L, name):
 * Replace the table on top by a proxy which reads from it and cannot be written
 * to; ${name} is what the error message calls it.
 *
 * Lua stack: [-1, +1, m]
 */
void sandbox_seal(lua_State *L, const char *name);

/* Openers: push a module.  Lua stack: [-0, +1, e] */
int luaopen_moonpost_alert_action(lua_State *L);
int luaopen_moonpost_crypto(lua_State *L);
int luaopen_moonpost_http(lua_State *L);
int luaopen_moonpost_issue_link(lua_State *L);
int luaopen_moonpost_json(lua_State *L);
int luaopen_moonpost_kv(lua_State *L);
int luaopen_moonpost_log(lua_State *L);
int luaopen_moonpost_oauth(lua_State *L);
int luaopen_moonpost_schedule(lua_State *L);
int luaopen_moonpost_secret(lua_State *L);
int luaopen_moonpost_sentry(lua_State *L);
int luaopen_moonpost_sleep(lua_State *L);
int luaopen_moonpost_stacktrace_link(lua_State *L);
int luaopen_moonpost_step(lua_State *L);
int luaopen_moonpost_cjson(lua_State *L);
int luaopen_moonpost_cjson_safe(lua_State *L);

/* Parts of the sandbox that have files of their own. */

/* Replace find, match, gmatch, gsub, rep in the string library on top.
 * Lua stack: [-0, +0, m] */
void lstring_install(lua_State *L);

/* Replace insert, remove, move, sort in the table library on top. */
void ltable_install(lua_State *L);

/* Replace what resumes or closes in the coroutine library on top. */
void lcoro_install(lua_State *L);

/* Replace the os library on top by what of it is harmless; in an unsafe state,
 * only those functions of it that tell the time.  Lua stack: [-1, +1, m] */
void los_install(lua_State *L);

/* require: modules, then lib/. */
int lrequire(lua_State *L);

/* Make the metatables of events.  Lua stack: [-0, +0, m] */
void event_open(lua_State *L);

/* print, which is log.info. */
int log_print(lua_State *L);

#endif /* !SCRIPT_SANDBOX_H_ */
