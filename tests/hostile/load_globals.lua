-- family: at load time
-- attack: globals that are no handlers, by the thousand
-- expect: done

for i = 1, 1e4 do _G["global" .. i] = i end
function on_event() end
