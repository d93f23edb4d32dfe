---@meta
-- Types for lua-language-server, never loaded at run time.

---The value of a secret: the variable NAME in the environment of moonpost, or
---the file NAME in the folder of `--secrets`. For an integration ACME it is
---`ACME__NAME` and `ACME/NAME`. It is asked for once, and never printed.
---
---Raises an error that says how to set it if there is none. It works at the top
---of a script as well, which makes a missing secret a script that does not load.
---
---    local url = secret "JIRA_URL"
---@param name string capital letters, digits and _; not MOONPOST_* or SENTRY_CLIENT_*
---@return string
function secret(name) end
