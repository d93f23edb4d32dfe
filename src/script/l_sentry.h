#ifndef SCRIPT_L_SENTRY_H_
#define SCRIPT_L_SENTRY_H_

/*
 * What the rest of the worker needs of the Sentry client (l_sentry.c).
 *
 * Floor: 4 (script), private.
 */

#include <lua.h>

/**
 * sentry_install_first(L):
 * Put in the place of the handler on top a function that has the host install
 * what the handler's event is about, and then calls it.
 *
 * Lua stack: [-1, +1, e]
 */
void sentry_install_first(lua_State *L);

#endif /* !SCRIPT_L_SENTRY_H_ */
