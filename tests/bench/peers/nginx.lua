-- A webhook receiver as one would write it for nginx: the signature, the JSON,
-- an answer.  Nothing is kept.
local bench = bench

ngx.req.read_body()
local body = ngx.req.get_body_data()
if not body or not bench.verify(body, ngx.var.http_sentry_hook_signature) then
  ngx.status = 401
  ngx.print '{"error":"bad_signature"}'
  return
end
local ok, event = pcall(bench.decode, body)
if not ok or not event.action then
  ngx.status = 400
  ngx.print '{"error":"invalid_json"}'
  return
end
ngx.print '{"status":"accepted"}'
