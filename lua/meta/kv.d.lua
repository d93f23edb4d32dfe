---@meta
-- Types for lua-language-server, never loaded at run time.

---Values that outlive a run and a restart, shared by the scripts of an
---integration.
---
---A key is 1 to 1,024 bytes of UTF-8. A value is whatever JSON has, up to 64 KiB
---as JSON; all of an integration are up to 64 MiB. What is beyond a limit raises an
---error. Writes return when they are durable. All of these wait, as `sleep` does:
---they work in a handler, not while the script loads.
---@class kv
kv = {}

---@class kv.options
---@field ttl? number|string seconds, or text with a unit ("10m"): then it is gone

---The value, or nil if there is none. A `json.null` that was set comes back as that.
---@param key string
---@return any? value
function kv.get(key) end

---Set a key, whatever it was. Without a ttl it stays until it is deleted.
---
---    kv.set("muted/" .. event.data.issue.id, { by = event.actor.name }, { ttl = "1h" })
---@param key string
---@param value any not nil: `kv.delete` takes a key away
---@param options? kv.options
---@return true
function kv.set(key, value, options) end

---Set a key only if it is absent: of many who try, one succeeds.
---
---    if not kv.add("seen/" .. event.data.issue.id, true, { ttl = "10m" }) then return end
---@param key string
---@param value any not nil
---@param options? kv.options
---@return boolean added
function kv.add(key, value, options) end

---Take a key away.
---@param key string
---@return boolean was_there
function kv.delete(key) end

---Add to an integer, which is 0 if it is absent; nothing is lost when many do so at
---once. It keeps its ttl. A value that is no integer raises an error.
---@param key string
---@param by? integer default 1
---@return integer value the new one
function kv.incr(key, by) end

---The keys that begin with `prefix`, sorted by their bytes.
---@param prefix? string all, without it
---@return string[] keys
function kv.list(prefix) end
