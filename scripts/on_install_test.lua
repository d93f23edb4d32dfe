local testing = require "testing"

local function deliver(event)
  local t = testing.load "on_install"
  local run = t:deliver(event, { data = { installation = { organization = { slug = "acme" } } } })
  testing.equal(run.outcome, "done", run.error)
  return run.log[1]
end

function test_an_installation_is_told()
  local line = deliver "installation.created"
  testing.equal(line.message, "installed")
  testing.equal(line.fields.organization, "acme")
  testing.matches(line.fields.installation, "^%x+%-")
end

function test_so_is_its_end()
  local line = deliver "installation.deleted"
  testing.equal(line.message, "uninstalled")
  testing.equal(line.fields.organization, "acme")
end
