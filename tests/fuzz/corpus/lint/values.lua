function on_issue(event)
  if event.action == "creatd" and "x" ~= event.data.issue.level or event.data.issue.status == [[resolvd]] then return end
end
