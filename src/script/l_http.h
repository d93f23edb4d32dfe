#ifndef SCRIPT_L_HTTP_H_
#define SCRIPT_L_HTTP_H_

/*
 * What other modules need of http (l_http.c).
 *
 * Floor: 4 (script), private.
 */

#include <lua.h>

/* Push a function like http.request, but for the server that the user has named
 * as Sentry: it may be anywhere.  Lua stack: [-0, +1, m] */
void http_push_to_sentry(lua_State *L);

#endif /* !SCRIPT_L_HTTP_H_ */
