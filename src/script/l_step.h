#ifndef SCRIPT_L_STEP_H_
#define SCRIPT_L_STEP_H_

/*
 * step: what has been done once is not done again by a later attempt.  For
 * users: lua/meta/step.d.lua
 *
 * Floor: 4 (script), private.
 */

#include <lua.h>

struct proto_run;

/**
 * step_begin(L, run):
 * Give the running task the steps that earlier attempts at ${run} recorded, and
 * what its idempotency keys are made of.
 *
 * Lua stack: [-0, +0, m]
 */
void step_begin(lua_State *L, const struct proto_run *run);

#endif /* !SCRIPT_L_STEP_H_ */
