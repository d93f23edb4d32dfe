-- The rules, the first that matches counts. `when` sees the issue; the rest says what to do:
-- `assign` (a mail address or "team:ID"), `status` ("resolved", "ignored"), `quiet` (no message).

local function title_has(text)
  return function(issue) return issue.title:lower():find(text, 1, true) ~= nil end
end

local function all(...)
  local tests = { ... }
  return function(issue)
    for _, test in ipairs(tests) do
      if not test(issue) then return false end
    end
    return true
  end
end

local function project(slug)
  return function(issue) return issue.project.slug == slug end
end

local function level(name)
  return function(issue) return issue.level == name end
end

return {
  {
    name = "noise of browser extensions",
    when = title_has "chrome-extension://",
    status = "ignored",
    quiet = true,
  },
  {
    name = "old pages cannot load chunks",
    when = title_has "chunkloaderror",
    status = "resolved",
    quiet = true,
  },
  { name = "payment is urgent", when = all(project "payment", level "fatal"), assign = "team:7" },
  { name = "payment", when = project "payment", assign = "team:7", quiet = true },
  { name = "whatever is fatal", when = level "fatal", assign = "oncall@example.com" },
}
