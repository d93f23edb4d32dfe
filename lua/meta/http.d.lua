---@meta
-- Types for lua-language-server, never loaded at run time.

---Requests to elsewhere. Every call waits without holding up other deliveries, so
---it works in a handler itself, not while the script loads and not in a
---coroutine that the script made.
---
---Trouble on the way is `nil, message, code`; an HTTP status is not trouble:
---
---    local res = assert(http.post(secret "HOOK_URL", { json = { text = "hi" }, timeout = 5 }))
---    if not res.ok then error("refused: " .. res.status) end
---
---TLS is verified, connections are reused; a proxy is only used where moonpost was started
---with `--proxy`, none is taken from the environment.
---Loopback, private and link-local addresses are refused, whatever name leads to
---them, unless `--dev` (loopback only), `--allow-private` or `--allow-host` opens
---them.
---
---Where `follow` leads to another scheme, host or port, only the headers go along that
---say what is wanted and what is sent: `Accept` and its like, `Content-Type`,
---`Content-Encoding`, `Content-Language`, `User-Agent`, `Cache-Control`, `Range`, `If-*`,
---`Idempotency-Key`. Every other may hold a key (`Authorization`, `Cookie`, `X-Api-Key`,
---whatever it is called), is left out there, and does not come back. A body goes along with
---307 and 308 only; the other redirects make a GET of a POST.
---@class http
http = {}

---@alias http.code
---| "timeout"   # not complete within `timeout`
---| "resolve"   # no such host
---| "connect"   # nobody there, or gone in between
---| "tls"       # no trusted connection
---| "too_large" # the answer's body is longer than `max_bytes`
---| "blocked"   # an address that is not open to scripts
---| "invalid"   # not HTTP, or too many redirects

---@class http.options
---@field json? any a value that is sent as JSON
---@field form? table<string, string|number|boolean|(string|number)[]> sent as a form
---@field body? string sent as it is; only one of `json`, `form`, `body`
---@field headers? table<string, string|number>
---@field query? table<string, string|number|boolean|(string|number)[]> appended to the URL
---@field timeout? number|string seconds or text with a unit, for the whole request (default 10)
---@field retries? integer how often to try again (default 0): after trouble, 429, 502, 503 and 504, with growing pauses or as `Retry-After` says, unless that is longer than the handler may take; GET, PUT, DELETE and what has an `Idempotency-Key`
---@field follow? boolean|integer redirects to follow (default none; true is 10)
---@field max_bytes? integer longest body of the answer (default 8 MiB)

---@class http.request: http.options
---@field url string
---@field method? string default GET

---@class http.response
---@field status integer
---@field ok boolean the status is 2xx
---@field headers table<string, string> by name in any case; what comes twice is joined by a comma
---@field body string
local response = {}

---The body as JSON has it in Lua.
---@return any value or nil, a message and the offset in bytes
---@return string? message
---@return integer? offset
function response:json() end

---@param url string
---@param options? http.options
---@return http.response? response
---@return string? message
---@return http.code? code
function http.get(url, options) end

---@param url string
---@param options? http.options
---@return http.response? response
---@return string? message
---@return http.code? code
function http.post(url, options) end

---@param url string
---@param options? http.options
---@return http.response? response
---@return string? message
---@return http.code? code
function http.put(url, options) end

---@param url string
---@param options? http.options
---@return http.response? response
---@return string? message
---@return http.code? code
function http.patch(url, options) end

---@param url string
---@param options? http.options
---@return http.response? response
---@return string? message
---@return http.code? code
function http.delete(url, options) end

---@param request http.request
---@return http.response? response
---@return string? message
---@return http.code? code
function http.request(request) end

---All of them at the same time.
---@param requests http.request[] at most 1,000
---@return (http.response|{ error: string, code: http.code })[] results in the same order
function http.all(requests) end
