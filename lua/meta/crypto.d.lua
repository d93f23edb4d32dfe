---@meta
-- Types for lua-language-server, never loaded at run time.

---Hashes, signatures and encodings. Strings are bytes everywhere.
---
---    local mine = crypto.hmac_sha256(secret "HOOK_KEY", body)
---    if not crypto.equal(mine, theirs) then error("not from them") end
---@class crypto
crypto = {}

---HMAC-SHA256 (RFC 2104).
---@param key string of any length
---@param message string
---@param form? "hex"|"raw" 64 lower-case digits (default), or 32 bytes
---@return string
function crypto.hmac_sha256(key, message, form) end

---SHA-256 (FIPS 180-4).
---@param message string
---@param form? "hex"|"raw" 64 lower-case digits (default), or 32 bytes
---@return string
function crypto.sha256(message, form) end

---Lower-case hexadecimal digits, two for each byte.
---@param bytes string
---@return string
function crypto.hex(bytes) end

---Base64 (RFC 4648) with `+`, `/` and padding.
---@param bytes string
---@return string
function crypto.base64(bytes) end

---Base64 for URLs (RFC 4648, section 5): `-` and `_`, no padding.
---@param bytes string
---@return string
function crypto.base64url(bytes) end

---The bytes behind base64. It takes nothing but the canonical form: no line ends,
---padding where it is due.
---
---    local bytes, message = crypto.unbase64(text)
---@param text string
---@return string? bytes nil if it is not base64
---@return string? message what is wrong
---@return "invalid"? code
function crypto.unbase64(text) end

---The bytes behind base64 for URLs, with or without padding.
---@param text string
---@return string? bytes nil if it is not base64
---@return string? message what is wrong
---@return "invalid"? code
function crypto.unbase64url(text) end

---Bytes that nobody can predict, from the kernel.
---@param n integer 0 to 1,048,576
---@return string
function crypto.random(n) end

---A random UUID (version 4), in lower case.
---@return string
function crypto.uuid() end

---Whether two strings are the same, in a time that tells nothing about where they
---differ: for signatures and tokens. Their lengths are no secret.
---@param a string
---@param b string
---@return boolean
function crypto.equal(a, b) end

---A JSON Web Token (RFC 7519), signed with HMAC-SHA256. The claims are encoded as
---`json.encode` does; nothing is added to them.
---
---    crypto.jwt_hs256({ iss = "moonpost", exp = os.time() + 60 }, secret "API_KEY")
---@param claims table<string, any>
---@param key string
---@return string token
function crypto.jwt_hs256(claims, key) end
