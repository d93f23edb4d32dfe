-- What wrk sends, and what it says at the end.
--
--   wrk ... -s drive.lua URL -- REQUESTS RUN [DELAY_MS]
--
-- REQUESTS is a file of signed requests, each as "headers-length body-length\n" and its two parts.  Every
-- request gets an Idempotency-Key of its own.  With DELAY_MS each connection waits about so long before
-- each request, which makes an offered load of connections / delay.

local parts, n, run, wait = {}, 0, "", nil

function init(args)
  local f = assert(io.open(args[1], "rb"))
  while true do
    local line = f:read "*l"
    if not line then
      break
    end
    local h, b = line:match "^(%d+) (%d+)$"
    parts[#parts + 1] = { f:read(tonumber(h)), "\r\n\r\n" .. f:read(tonumber(b)) }
  end
  f:close()
  run = args[2] .. "-"
  math.randomseed(tonumber(args[2]:match "%d+") or 1)
  if args[3] then
    wait = tonumber(args[3])
    function delay()
      return math.random(0, 2 * wait)
    end
  end
end

function request()
  n = n + 1
  local p = parts[n % #parts + 1]
  return p[1] .. "Idempotency-Key: " .. run .. n .. p[2]
end

function done(summary, latency, _)
  io.write(string.format(
    '\nRESULT {"requests":%d,"duration_us":%d,"status_errors":%d,"socket_errors":%d,'
      .. '"p50_us":%d,"p99_us":%d,"p999_us":%d,"max_us":%d}\n',
    summary.requests, summary.duration, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9), latency.max))
end
