---@meta
-- Lua 5.4 as scripts have it: what differs from the manual. Types for
-- lua-language-server, never loaded at run time.
--
-- Not there: io, debug, package, load, loadstring, loadfile, dofile, warn,
-- string.dump, and of os all but time, date, clock, difftime. Libraries and
-- modules are read-only. Each script has its own globals. (A script that
-- `--unsafe-stdlib` names has them all but warn: docs/unsafe-stdlib.md.)
--
-- A slice of a run (from one wait to the next) has a limit on CPU time, a script
-- one on memory; see `--cpu-limit` and `--memory-limit`. A broken limit ends the
-- run, whatever pcall is around it (memory errors can be caught).

---A module of moonpost, or the lib `lib/NAME.lua` beside the scripts. A lib gets
---its name as its argument and runs once a script; it may not wait.
---@param name string
---@return any
function require(name) end

---`log.info`, with the arguments in one line.
---@param ... any
function print(...) end

---As in Lua, but the handler is called when the stack is unwound: it gets the
---traceback as its second argument, and may wait.
---@param f function
---@param handler fun(err: any, traceback: string?): ...
---@param ... any arguments of f
---@return boolean ok
---@return any ...
function xpcall(f, handler, ...) end

---As in Lua, but a metatable with __gc is refused: use `<close>` variables.
---@param t table
---@param metatable table?
---@return table t
function setmetatable(t, metatable) end

---As in Lua, but only these; the others would change how the collector works.
---@param what "collect"|"step"|"count"|"isrunning"?
---@return any
function collectgarbage(what) end
