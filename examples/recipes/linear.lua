-- A new fatal issue becomes one Linear issue.

local key = secret "LINEAR_API_KEY"
local team = secret "LINEAR_TEAM_ID"

local CREATE = [[
mutation($input: IssueCreateInput!) {
  issueCreate(input: $input) { success issue { identifier url } }
}]]

-- An id of our own makes the call safe to repeat: Linear refuses a second issue with it.
local function uuid_from(hex)
  local form = "%1-%2-4%3-8%4-%5"
  return (hex:gsub("^(" .. ("%x"):rep(8) .. ")(%x%x%x%x)%x(%x%x%x)%x(%x%x%x)(%x+)$", form))
end

function on_issue(event)
  local issue = event.data.issue
  if event.action ~= "created" or issue.level ~= "fatal" then return end

  local made = step("linear", function(idempotency_key)
    local url = issue.web_url or issue.permalink
    local res = assert(http.post("https://api.linear.app/graphql", {
      timeout = 10,
      headers = { Authorization = key },
      json = {
        query = CREATE,
        variables = {
          input = {
            id = uuid_from(idempotency_key),
            teamId = team,
            title = issue.title,
            description = type(url) == "string" and url or nil,
            priority = 1,
          },
        },
      },
    }))
    if not res.ok then error("Linear answered " .. res.status .. ": " .. res.body, 0) end
    local answer = res:json()
    -- GraphQL tells its errors with a 200.
    if answer.errors then error("Linear: " .. tostring(answer.errors[1].message), 0) end
    return answer.data.issueCreate.issue
  end)
  log.info("opened a Linear issue", { ticket = made.identifier, url = made.url })
end
