-- Shared by the scripts: require "describe".

local describe = {}

-- Who did it, as a person would say it.
function describe.actor(event)
  local actor = event.actor
  if not actor then return "nobody" end
  if actor.type == "user" then return actor.name end
  return actor.name .. " (" .. actor.type .. ")"
end

return describe
