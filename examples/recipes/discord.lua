-- New fatal issues to a Discord channel, by its webhook.

local webhook = secret "DISCORD_WEBHOOK_URL" -- Server settings, Integrations, Webhooks

function on_issue(event)
  local issue = event.data.issue
  if event.action ~= "created" or issue.level ~= "fatal" then return end

  local url = issue.web_url or issue.permalink
  local res = assert(http.post(webhook, {
    timeout = 5,
    json = {
      embeds = {
        {
          title = issue.title:sub(1, 256), -- Discord refuses longer ones
          url = url ~= json.null and url or nil,
          color = 0xE03E2F,
          footer = { text = issue.project.slug },
        },
      },
      allowed_mentions = { parse = json.array {} }, -- a title with @everyone mentions nobody
    },
  }))
  if res.status == 429 then event:retry { after = tonumber(res.headers["Retry-After"]) or 5 } end
  if not res.ok then error("Discord answered " .. res.status .. ": " .. res.body, 0) end
end
