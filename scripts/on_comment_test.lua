local testing = require "testing"

local function deliver(event, comment)
  local run = testing.load("on_comment"):deliver(event, { data = { comment = comment } })
  testing.equal(run.outcome, "done", run.error)
  return run.log[1]
end

function test_a_command_is_taken_apart()
  local line = deliver("comment.created", "/assign @ada")
  testing.equal(line.message, "command from a comment")
  testing.equal(line.fields.command, "assign")
  testing.equal(line.fields.argument, "@ada")
end

function test_other_comments_are_told()
  testing.equal(deliver("comment.created", "me too").message, "comment created")
  testing.equal(deliver("comment.updated", "/assign @ada").message, "comment updated")
  testing.equal(deliver("comment.deleted").message, "comment deleted")
end

function test_a_comment_without_its_text()
  testing.equal(deliver("comment.created", json.null).message, "comment created")
end
