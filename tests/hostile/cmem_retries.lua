-- family: memory of C
-- attack: long addresses in the record of a thousand calls
-- expect: done

function on_comment(event)
  local list, long = {}, ("x"):rep(4000)
  for i = 1, 200 do list[i] = { url = "http://127.0.0.1:1/" .. long } end
  for i = 1, 3 do http.all(list) end
end
