#ifndef SCRIPT_L_HTTP_H_
#define SCRIPT_L_HTTP_H_

/*
 * What other modules need of http (l_http.c).
 *
 * Floor: 4 (script), private.
 */

#include <lua.h>

/* Flags of a request. */
#define HTTP_TO_SENTRY                                                         \
	1            /* The user has named the server: it may be anywhere. */
#define HTTP_FRESH 2 /* On a connection of its own. */

/* Push a function like http.request with those flags.  Lua stack: [-0, +1, m]
 */
void http_push_request(lua_State *L, int flags);

#endif /* !SCRIPT_L_HTTP_H_ */
