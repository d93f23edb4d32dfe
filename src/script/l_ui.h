#ifndef SCRIPT_L_UI_H_
#define SCRIPT_L_UI_H_

/*
 * UI components, for whoever runs a script: what is behind alert_action,
 * issue_link and stacktrace_link is lua/moonpost/ui.lua.
 *
 * Floor: 4 (script), private.
 */

#include <lua.h>

#include "base/str.h"

struct vm;

/* Whether the script has an alert action with a fire.  Raises nothing. */
int ui_fires(struct vm *vm);

/**
 * ui_push_fire(L):
 * Push the function that takes the event and calls fire(settings, alert,
 * event).
 *
 * Returns:   1, or 0 and nothing is pushed: there is no such component.
 * Lua stack: [-0, +(0|1), m]
 */
int ui_push_fire(lua_State *L);

/**
 * ui_push_handle(L, route, request):
 * Push the function that answers a request of Sentry's, and its arguments:
 * ${route} ("alert-rule-action", "options/NAME") and ${request}, which is JSON.
 * It returns {status =, body =, location =}.
 *
 * Lua stack: [-0, +3, e]
 */
void ui_push_handle(lua_State *L, const char *route, struct str request);

#endif /* !SCRIPT_L_UI_H_ */
