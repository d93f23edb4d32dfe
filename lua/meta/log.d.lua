---@meta
-- Types for lua-language-server, never loaded at run time.

---The log of moonpost: each line carries the script and the delivery. Secrets
---are taken out. A run may say 1,000 lines or 256 KiB; then one line says that
---the rest is left out.
---
---    log.info("linked", { ticket = "OPS-1", issue = event.data.issue.shortId })
---@class log
log = {}

---For development: seen with `--log-level debug` only.
---@param message any anything but a string is turned into one
---@param fields table<string, any>? values that JSON has not are described
function log.debug(message, fields) end

---What happened. `print(...)` is the same, with its arguments in one line.
---@param message any
---@param fields table<string, any>?
function log.info(message, fields) end

---What somebody should look at some day.
---@param message any
---@param fields table<string, any>?
function log.warn(message, fields) end

---What somebody should look at now. It does not end the run: `error` does.
---@param message any
---@param fields table<string, any>?
function log.error(message, fields) end
