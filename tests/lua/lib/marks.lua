local marks = {}

function marks.of(event) return event.resource .. "/" .. event.action end

return marks
