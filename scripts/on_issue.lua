-- Runs when an issue is created, resolved, assigned, ignored or unresolved.
--
--   moonpost send issue.created
--   moonpost send issue.created --set data.issue.level=fatal

local describe = require "describe"

function on_issue(event)
  local issue = event.data.issue

  if event.action == "created" and issue.level == "fatal" then
    log.warn("a fatal issue, somebody should look", {
      issue = issue.shortId,
      title = issue.title,
      seen = issue.firstSeen,
    })
    return
  end

  log.info("issue " .. event.action, {
    issue = issue.shortId,
    title = issue.title,
    level = issue.level,
    by = describe.actor(event),
  })
end
