#ifndef SCRIPT_L_SCHEDULE_H_
#define SCRIPT_L_SCHEDULE_H_

/*
 * The functions that a script has scheduled.
 *
 * Floor: 4 (script), private.
 */

#include <lua.h>

/**
 * schedule_push(L, name):
 * Push the function of the schedule ${name} of this script.
 *
 * Returns:   1, or 0 if there is none, and nothing was pushed.
 * Lua stack: [-0, +(0|1), m]
 */
int schedule_push(lua_State *L, const char *name);

#endif /* !SCRIPT_L_SCHEDULE_H_ */
