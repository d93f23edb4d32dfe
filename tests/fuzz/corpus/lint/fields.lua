function on_issue(event)
  local issue, d = event.data.isue or event.data["issue"], event.data
  for _, x in ipairs(event.payload.data.issue.annotations) do print(x.url, issue.tilte, d.foo) end
  event.mine = (issue and issue.project or {}).slgu
  event:rety{after = 1}
  d = nil
end
on_error = function(e) return #e.error.tags[1][2], http.gte end
schedule.every("5m", "x", function(event) print(event.data.nmae) end)
