-- Whoever writes "/github" as a comment on an issue in Sentry gets a GitHub issue for it.

local token = secret "GITHUB_TOKEN" -- fine-grained, with write access to issues
local repository = secret "GITHUB_REPOSITORY" -- acme/shop

local function call(method, path, options)
  options.method = method
  options.url = "https://api.github.com" .. path
  options.timeout = 10
  options.headers = { Authorization = "Bearer " .. token, Accept = "application/vnd.github+json" }
  local res = assert(http.request(options))
  -- 403 with this header is GitHub's rate limit.
  if not res.ok then error("GitHub answered " .. res.status .. ": " .. res.body, 0) end
  return res:json()
end

function on_comment(event)
  local comment = event.data
  if event.action ~= "created" or comment.comment ~= "/github" then return end

  -- The marker in the body is how a second attempt, or a second person, finds what there is.
  local marker = "sentry-issue-" .. tostring(comment.issue_id)
  local found = call("GET", "/search/issues", {
    query = { q = "repo:" .. repository .. " in:body " .. marker },
  })
  if found.items[1] then
    log.info("there is an issue already", { url = found.items[1].html_url })
    return
  end

  local made = step("create", function()
    local issue = call("POST", "/repos/" .. repository .. "/issues", {
      json = {
        title = "Sentry issue " .. tostring(comment.issue_id),
        body = "Asked for by " .. event.actor.name .. " in Sentry.\n\n" .. marker,
      },
    })
    return { number = issue.number, url = issue.html_url }
  end)
  log.info("opened a GitHub issue", made)
end
