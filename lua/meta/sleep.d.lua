---@meta
-- Types for lua-language-server, never loaded at run time.

---Wait, while other deliveries go on.
---
---Only in a handler itself: not while the script loads, not in a coroutine that
---the script made, not in a callback of sort or gsub. What is longer than the
---handler deadline (30 s) raises an error at once; `event:retry{after = ...}` is
---for that.
---
---    sleep(0.5)  sleep "2s"
---@param duration number|string seconds, or text with a unit: "500ms", "2s"
function sleep(duration) end
