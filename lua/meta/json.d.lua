---@meta
-- Types for lua-language-server, never loaded at run time.

---JSON's null: true in a condition, so compare with `== json.null`.
---@class json.null: userdata

---JSON, strictly by RFC 8259 and without loss. `require "cjson"` gives lua-cjson
---instead, which makes every number a float and forgets `[]`.
---@class json
---@field null json.null JSON's null: equal to `cjson.null`
json = {}

---The text of a value, compact.
---
---A table is an array if its keys are 1 to n or it came from one, an object if
---they are strings, and `{}` if it is empty; `json.array{}` is `[]`. No
---metamethod is called. Bytes that are not UTF-8 become U+FFFD. Raises an error
---which names the place, as `data.items[2].fn`, for what JSON has not: functions,
---NaN, infinity, cycles, holes in an array, a table with both positions and names.
---
---    json.encode({ key = "OPS-1", tags = json.array{} })  --> {"key":"OPS-1","tags":[]}
---@param value any
---@return string
function json.encode(value) end

---The value of a text.
---
---    local v, message, offset = json.decode(text)
---@param text string nested at most 512 deep
---@return any? value nil if it is not JSON
---@return string? message what is wrong there
---@return integer? offset where, in bytes from 0
function json.decode(text) end

---Mark a table as an array, so that it is `[]` also when it is empty.
---@param t table? a new one without it; it may not have a metatable
---@return table t the same table
function json.array(t) end
