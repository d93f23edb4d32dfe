#ifndef SCRIPT_L_EVENT_H_
#define SCRIPT_L_EVENT_H_

/*
 * The event that a handler gets.  For users: lua/meta/event.d.lua
 *
 * Floor: 4 (script), private.
 */

#include <lua.h>

struct proto_run;

/**
 * event_push(L, run):
 * Push the event of ${run}, and make it that of the running task.
 *
 * Lua stack: [-0, +1, e]  the body is not JSON, or memory.
 */
void event_push(lua_State *L, const struct proto_run *run);

#endif /* !SCRIPT_L_EVENT_H_ */
