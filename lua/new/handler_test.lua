-- moonpost test

local testing = require "testing"

function test_it_is_logged()
  local t = testing.load "@NAME@"
  local run = t:deliver "@EVENT@"
  testing.equal(run.outcome, "done", run.error)
  testing.equal(run.log[1].message, "@RESOURCE@ @ACTION@")
end

-- t:deliver("@EVENT@", { data = { ... } }) delivers another one, t:secret(name, value)
-- gives a secret, t:http("POST", "https://example.com/*", { status = 201 }) expects a request.
