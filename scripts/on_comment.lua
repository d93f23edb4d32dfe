-- Runs when somebody comments on an issue, edits or deletes a comment.
--
--   moonpost send comment.created --set 'data.comment=/assign @ada'

local describe = require "describe"

function on_comment(event)
  local comment = event.data
  local text = comment.comment

  -- Sentry may leave the text out; json.null is not a string.
  if type(text) == "string" and event.action == "created" then
    local command, rest = text:match("^/(%a+)%s*(.*)$")
    if command then
      log.info("command from a comment", { command = command, argument = rest, issue = comment.issue_id })
      return
    end
  end

  log.info("comment " .. event.action, {
    issue = comment.issue_id,
    project = comment.project_slug,
    by = describe.actor(event),
  })
end
