-- family: during reload
-- attack: the next version's handler is no function
-- expect: reload done

on_event = 42
