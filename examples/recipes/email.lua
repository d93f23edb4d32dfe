-- Alert rules by mail, through an HTTP provider (Postmark here; others differ in names only).

local token = secret "POSTMARK_TOKEN"
local from = secret "MAIL_FROM"
local to = secret "MAIL_TO" -- several: with commas

function on_event_alert(event)
  local err = event.error
  local rule = event.data.triggered_rule

  step("mail", function()
    local res = assert(http.post("https://api.postmarkapp.com/email", {
      timeout = 10,
      headers = { ["X-Postmark-Server-Token"] = token },
      json = {
        From = from,
        To = to,
        Subject = "[Sentry] " .. err.title:gsub("%s+", " "):sub(1, 150),
        TextBody = table.concat({
          err.title,
          "",
          "Rule: " .. (rule ~= "" and rule or "a test"),
          "Where: " .. tostring(err.culprit),
          err.web_url,
        }, "\n"),
      },
    }))
    if not res.ok then error("Postmark answered " .. res.status .. ": " .. res.body, 0) end
  end)
end
