---@meta
-- Types for lua-language-server, never loaded at run time.

---OAuth 2, with any server; Sentry's where no URL is given. Trouble is `nil, message,
---code`, where the code is that of the server (`invalid_grant`, `access_denied`, ...)
---or of the way to it, as `http` has them. A client with a secret sends it in the
---body (`auth = "body"`, the default) or as Basic; a public one has none.
---
---A flow in a browser ends in `on_oauth(event)`, a delivery like every other one, in
---the script that began it:
---
---    function on_installation(event)
---      local url = assert(oauth.authorize_url { client_id = "id", scope = { "org:read" },
---        redirect_uri = "https://hooks.example/oauth/callback" })
---      http.post(secret "CHAT_URL", { json = { text = "Please sign in: " .. url } })
---    end
---
---    function on_oauth(event)
---      local token, message = oauth.exchange(event, { client_secret = secret "APP_SECRET" })
---      if not token then event:drop(message) end
---    end
---@class oauth
oauth = {}

---@class oauth.token
---@field access_token string
---@field refresh_token? string
---@field expires_in? integer seconds
---@field expires_at? integer when it ends, in unix seconds
---@field token_type? string
---@field scope? string
---@field user? table of Sentry: who it is

---@class oauth.client
---@field client_id string
---@field client_secret? string none: a public client
---@field auth? "body"|"basic" how the credentials are sent (default body)
---@field token_url? string default Sentry's

---@class oauth.exchange_options: oauth.client
---@field code string
---@field redirect_uri? string the same as in the authorization request
---@field code_verifier? string of `oauth.pkce`

---@class oauth.refresh_options: oauth.client
---@field refresh_token string

---@class oauth.authorize_options
---@field client_id string
---@field redirect_uri string the public address of this host's `/oauth/callback`
---@field scope? string|string[]
---@field authorize_url? string default Sentry's; one of another server needs `token_url`
---@field token_url? string where the code will be exchanged (default Sentry's)
---@field name? string `event.action` of `on_oauth` (default "authorized")
---@field data? any JSON that `on_oauth` gets back as `event.data.data`
---@field params? table<string, string|number|boolean> more parameters of the URL

---@class oauth.device_options
---@field client_id string
---@field client_secret? string
---@field scope? string|string[]
---@field device_url? string default Sentry's

---@class oauth.device
---@field device_code string for `oauth.device_poll`
---@field user_code string to be shown to the person
---@field verification_uri string where they enter it
---@field verification_uri_complete? string the same with the code in it
---@field expires_at integer in unix seconds
---@field interval integer seconds between polls

---@class oauth.poll_options: oauth.client
---@field device_code string
---@field interval? integer as `device_start` gave it (default 5)
---@field expires_at? integer as `device_start` gave it

---Exchange a code: the one of an event of `on_oauth`, with the verifier that the host
---kept for it, or one from elsewhere. A code works once: what comes of it belongs
---into a place of your own before the handler may fail.
---@param options oauth.exchange_options|event
---@param more? { client_secret: string?, auth: "body"|"basic"? } with an event
---@return oauth.token? token
---@return string? message
---@return string? code
---@overload fun(options: oauth.exchange_options): oauth.token?, string?, string?
function oauth.exchange(options, more) end

---A new token. Many servers, Sentry's among them, take a refresh token once and give
---a new one with the answer: keep it.
---@param options oauth.refresh_options
---@return oauth.token? token
---@return string? message
---@return string? code
function oauth.refresh(options) end

---An address to send a person to. The host keeps the state and the PKCE verifier that
---belong to it; it is good for one visit, within 10 minutes.
---@param options oauth.authorize_options
---@return string? url
---@return string? message
---@return string? code
function oauth.authorize_url(options) end

---A PKCE verifier with its challenge (RFC 7636, S256), for flows that the script does
---itself.
---@param verifier? string 43 to 128 letters, digits and `-._~` (default: a random one)
---@return { verifier: string, challenge: string, method: "S256" }
function oauth.pkce(verifier) end

---Begin a device flow (RFC 8628): show the person `user_code` and `verification_uri`.
---@param options oauth.device_options
---@return oauth.device? device
---@return string? message
---@return string? code
function oauth.device_start(options) end

---Wait until the person has said yes or no. If the handler's time is up first, the
---code is `authorization_pending`: keep the device, and poll again in a later run.
---@param options oauth.poll_options
---@return oauth.token? token
---@return string? message
---@return "access_denied"|"expired_token"|"authorization_pending"|string? code
function oauth.device_poll(options) end
