local testing = require "testing"

local function deliver(event, overrides)
  local run = testing.load("on_error"):deliver(event, overrides)
  testing.equal(run.outcome, "done", run.error)
  return run.log[1]
end

local function frame(file, line, in_app) return { filename = file, lineno = line, in_app = in_app } end

function test_the_innermost_frame_of_ones_own_is_named()
  local frames = { frame("app/views.py", 7, true), frame("app/cart.py", 31, true), frame("lib/json.py", 1, false) }
  local line = deliver("error.created", function(body)
    body.data.error.exception.values = { { type = "KeyError", value = "x", stacktrace = { frames = frames } } }
  end)
  testing.equal(line.fields.where, "app/cart.py:31")
end

function test_without_frames_it_is_the_culprit()
  local line = deliver("error.created", function(body)
    body.data.error.exception = nil
    body.data.error.culprit = "app in cart"
  end)
  testing.equal(line.fields.where, "app in cart")
end

function test_a_project_of_16_digits_stays_whole()
  local line = deliver("error.created", { data = { error = { project = 4505281256063123 } } })
  testing.equal(line.fields.project, 4505281256063123)
  testing.equal(math.type(line.fields.project), "integer")
end

function test_an_alert_brings_the_event_too()
  local line = deliver("event_alert.triggered", { data = { triggered_rule = "R" } })
  testing.matches(line.message, "^error %x+$")
  testing.equal(line.fields.rule, "R")
end
