-- The two calls of Slack's Web API that the handlers need.

local token = secret "SLACK_BOT_TOKEN" -- xoxb-..., with the scope chat:write
local channel = secret "SLACK_CHANNEL" -- C0123456789

local slack = {}

-- Slack reads &, < and > as markup.
function slack.escape(text)
  return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }))
end

function slack.link(url, text) return "<" .. url .. "|" .. slack.escape(text) .. ">" end

-- Slack says most refusals with a 200 and {"ok":false}. All of them raise, so the delivery is tried
-- again and waits in `moonpost deliveries --state dead` in the end: a wrong token loses nothing.
local function call(event, method, message)
  message.channel = channel
  local res = assert(http.post("https://slack.com/api/" .. method, {
    headers = { Authorization = "Bearer " .. token },
    json = message,
    timeout = 5,
  }))
  if res.status == 429 then
    local seconds = tonumber(res.headers["Retry-After"]) or 30
    event:retry { after = seconds, reason = "Slack's rate limit" }
  end
  if not res.ok then error("Slack answered " .. res.status, 0) end
  local answer = res:json()
  if not answer or not answer.ok then
    error("Slack refused " .. method .. ": " .. tostring(answer and answer.error), 0)
  end
  return answer
end

-- Post a message, below `thread` where one is given; returns its timestamp, which is its id.
function slack.post(event, text, thread)
  return call(event, "chat.postMessage", { text = text, thread_ts = thread }).ts
end

-- Replace the text of a message.
function slack.update(event, ts, text) call(event, "chat.update", { ts = ts, text = text }) end

return slack
