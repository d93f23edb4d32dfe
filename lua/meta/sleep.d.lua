---@meta
-- Types for lua-language-server, never loaded at run time.

---Wait, while other deliveries go on.
---
---Only in a handler itself: not while the script loads, not in a coroutine that
---the script made, not in a callback of sort or gsub. What is longer than what is
---left of the deadline raises an error at once: in a handler (30 s), where
---`event:retry{after = ...}` is for that, and in a UI component (5 s).
---
---    sleep(0.5)  sleep "2s"
---@param duration number|string seconds, or text with a unit: "500ms", "2s"
function sleep(duration) end
