-- Metric alerts to a Microsoft Teams channel, by a workflow "when a webhook request is received".

local webhook = secret "TEAMS_WEBHOOK_URL"

local COLOURS = { critical = "Attention", warning = "Warning", resolved = "Good" }

function on_metric_alert(event)
  local data = event.data
  local card = {
    type = "AdaptiveCard",
    ["$schema"] = "http://adaptivecards.io/schemas/adaptive-card.json",
    version = "1.4",
    body = {
      {
        type = "TextBlock",
        size = "Medium",
        weight = "Bolder",
        wrap = true,
        color = COLOURS[event.action],
        text = data.description_title or data.metric_alert.title,
      },
      { type = "TextBlock", wrap = true, text = data.description_text or event.action },
    },
  }
  if data.web_url then
    card.actions = { { type = "Action.OpenUrl", title = "Open in Sentry", url = data.web_url } }
  end
  local res = assert(http.post(webhook, {
    timeout = 10,
    json = {
      type = "message",
      attachments = { { contentType = "application/vnd.microsoft.card.adaptive", content = card } },
    },
  }))
  if not res.ok then error("Teams answered " .. res.status .. ": " .. res.body, 0) end
end
