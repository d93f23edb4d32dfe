-- Regressions to a Telegram chat, by a bot.

local token = secret "TELEGRAM_TOKEN" -- from @BotFather
local chat = secret "TELEGRAM_CHAT" -- the chat's id, or @channelname

function on_issue(event)
  local issue = event.data.issue
  if event.action ~= "unresolved" or issue.substatus ~= "regressed" then return end

  local url = issue.web_url or issue.permalink
  local res = assert(http.post("https://api.telegram.org/bot" .. token .. "/sendMessage", {
    timeout = 5,
    json = {
      chat_id = chat,
      text = "It is back: " .. issue.title .. (type(url) == "string" and "\n" .. url or ""),
      link_preview_options = { is_disabled = true },
    },
  }))
  if res.status == 429 then
    local answer = res:json()
    event:retry { after = answer and answer.parameters and answer.parameters.retry_after or 5 }
  end
  if not res.ok then error("Telegram answered " .. res.status .. ": " .. res.body, 0) end
end
