"""What http promises beyond a request and its answer: connections, retries, redirects, what is recorded."""

import email.utils
import json
import time

from host import Host, eventually
from hostile_peer import HostilePeer
from peer import Peer
from test_handlers import envelope


def run(tmp_path, source, *options, env=None, **data):
    """A host that has run a script once; the caller leaves it."""
    host = Host(tmp_path, "--allow-host", "127.0.0.1", *options, env=env, wait=False)
    host.write("a.lua", source)
    host.start()
    host.id = host.deliver("thing", envelope(**data)).json["id"]
    return host


def test_connections_are_used_again(tmp_path):
    with HostilePeer() as peer, run(tmp_path, """
function on_event(event)
  for i = 1, 20 do assert(http.get(event.data.url).ok) end
  log.info("result")
end
""", url=peer.url + "/ok") as host:
        host.log(msg="result")
        assert len(peer.paths) == 20 and peer.accepted == 1


def test_connections_that_hang_do_not_stop_others(tmp_path):
    """2,048 connections to one host, the rest waits; and another host is served."""
    with HostilePeer() as hog, Peer() as other, run(tmp_path, """
function on_event(event)
  if event.data.hog then
    local list = {}
    for i = 1, 800 do list[i] = { url = event.data.hog, timeout = 100 } end
    http.all(list)
  else
    local res, message, code = http.get(event.data.url)
    log.info("other", { status = res and res.status, code = code })
  end
end
""", "--workers", "1", hog=hog.url + "/hang") as host:
        for _ in range(2):
            host.deliver("thing", envelope(hog=hog.url + "/hang"))
        eventually(lambda: hog.hanging == 2048, "as many connections as there may be")
        host.deliver("thing", envelope(url=other.url + "/"))
        assert host.log(msg="other").get("status") == 200
        assert hog.hanging == 2048
        host.kill()


def test_retry_after_is_obeyed_as_seconds_and_as_a_date(tmp_path):
    asked = []

    def answer(request):
        asked.append((request.path, time.time()))
        if sum(1 for path, _ in asked if path == request.path) > 1:
            return 200, ""
        if request.path == "/seconds":
            return 429, "", {"Retry-After": "1"}
        return 503, "", {"Retry-After": email.utils.formatdate(time.time() + 2, usegmt=True)}

    with Peer(answer) as peer, run(tmp_path, """
function on_event(event)
  for _, path in ipairs { "/seconds", "/date" } do
    assert(http.get(event.data.url .. path, { retries = 2 }).ok)
  end
  log.info("result")
end
""", url=peer.url) as host:
        host.log(msg="result")
        times = {}
        for path, at in asked:
            times.setdefault(path, []).append(at)
        for first, second in times.values():
            # Never sooner than it was asked for: a date has whole seconds.
            assert second - first >= 0.95


def test_a_wait_that_the_handler_does_not_have_is_not_begun(tmp_path):
    with Peer(lambda r: (503, "later", {"Retry-After": "3600"})) as peer, run(tmp_path, """
function on_event(event)
  local res = http.get(event.data.url, { retries = 5 })
  log.info("result", { status = res.status, after = res.headers["retry-after"] })
end
""", "--handler-timeout", "10s", url=peer.url) as host:
        line = host.log(msg="result")
        assert (line["status"], line["after"]) == (503, "3600")
        assert len(peer.requests) == 1


def test_connection_trouble_is_retried_for_what_may_be_repeated(tmp_path):
    with run(tmp_path, """
function on_event(event)
  local _, _, code = http.get("http://127.0.0.1:1/", { retries = 2 })
  local _, _, other = http.post("http://127.0.0.1:1/", { retries = 2, json = {} })
  log.info("result", { get = code, post = other })
end
""") as host:
        line = host.log(msg="result")
        assert (line["get"], line["post"]) == ("connect", "connect")
        host.log(msg="job done")
        runs = eventually(lambda: host.api(f"deliveries/{host.id}")["jobs"][0]["runs"], "the run is written down")
        calls = runs[0]["calls"]
        assert [c["method"] for c in calls] == ["GET"] * 3 + ["POST"]


HEADERS = """{ Authorization = "Bearer t0ken", Cookie = "session=1", ["X-Api-Key"] = "k3y", ["DD-Anything"] = "x",
  Accept = "text/plain", ["User-Agent"] = "mine/1", ["Idempotency-Key"] = "once", Host = "named.example" }"""


def test_credentials_stay_with_the_host_that_they_are_for(tmp_path):
    """What a script has set goes to another origin only if it cannot be a key, and does not come back from there."""
    def away(request):
        return (200, "here") if request.path == "/end" else (307, "", {"Location": target.url + "/here"})

    def back(request):
        return (302, "", {"Location": peer.url + "/end"}) if request.method == "POST" else (200, "there")

    with Peer(back) as target, Peer(away) as peer, run(tmp_path, f"""
function on_event(event)
  local res = http.post(event.data.url, {{ follow = true, json = {{ a = 1 }}, headers = {HEADERS} }})
  local plain = http.get((event.data.url:gsub("//", "//user:pass@")), {{ follow = 1 }})
  log.info("result", {{ status = res.status, body = res.body, plain = plain.body }})
end
""", url=peer.url) as host:
        line = host.log(msg="result")
        assert (line["status"], line["body"], line["plain"]) == (200, "here", "there")
        first, end, plain = peer.requests
        assert first.headers["X-Api-Key"] == "k3y" and first.headers["Host"] == "named.example"
        assert plain.headers["Authorization"].startswith("Basic ")
        posted, got = target.requests
        assert (posted.method, posted.json, end.method, end.body) == ("POST", {"a": 1}, "GET", b"")
        for request in posted, end, got:
            for name in "Authorization", "Cookie", "X-Api-Key", "DD-Anything":
                assert request.headers[name] is None, (request.path, name)
        assert posted.headers["Host"] == f"127.0.0.1:{target.port}"
        assert posted.headers["Content-Type"] == "application/json" and end.headers["Content-Type"] is None
        for request in posted, end:
            assert [request.headers[n] for n in ("Accept", "User-Agent", "Idempotency-Key")] == ["text/plain", "mine/1", "once"]


def test_everything_stays_with_a_redirect_within_a_host(tmp_path):
    def answer(request):
        status = {"/301": 301, "/303": 303, "/308": 308}.get(request.path)
        return (200, "") if status is None else (status, "moved" * 100, {"Location": "to/a b?c=d#e"})

    with Peer(answer) as peer, run(tmp_path, f"""
function on_event(event)
  for _, status in ipairs {{ "/301", "/303", "/308" }} do
    local url = event.data.url:gsub("//", "//user:pass@") .. status
    assert(http.put(url, {{ follow = 1, body = "text", headers = {{ ["X-Api-Key"] = "k3y", ["Content-Type"] = "a/b" }} }}).ok)
  end
  log.info("result")
end
""", url=peer.url) as host:
        host.log(msg="result")
        followed = peer.requests[1::2]
        assert [(r.method, r.path, r.body) for r in followed] == [
            ("PUT", "/to/a%20b?c=d", b"text"), ("GET", "/to/a%20b?c=d", b""), ("PUT", "/to/a%20b?c=d", b"text")]
        assert [r.headers["Content-Type"] for r in followed] == ["a/b", None, "a/b"]
        for request in followed:
            assert request.headers["X-Api-Key"] == "k3y" and request.headers["Authorization"].startswith("Basic ")


def test_a_redirects_body_does_not_count(tmp_path):
    """Nor is it read if it has no end; the time of a request is that of all its hops."""
    def answer(request):
        if request.path == "/long":
            return 302, "x" * 3000000, {"Location": "/end"}
        return (200, "end") if request.path == "/end" else (302, "", {"Location": "/loop"})

    with Peer(answer) as peer, run(tmp_path, """
function on_event(event)
  local long = assert(http.get(event.data.url .. "/long", { follow = 1, max_bytes = 100 }))
  local _, message, code = http.get(event.data.url .. "/loop", { follow = 3 })
  log.info("result", { long = long.body, status = long.status, code = code, message = message })
end
""", url=peer.url) as host:
        line = host.log(msg="result")
        assert (line["long"], line["status"], line["code"]) == ("end", 200, "invalid")
        assert "more than 3 redirects" in line["message"]
        assert [r.path for r in peer.requests] == ["/long", "/end"] + ["/loop"] * 4


def test_secrets_are_in_no_record(tmp_path):
    secret, plain = "s3cr3t/with+signs=", "plain-password"
    encoded = "s3cr3t%2Fwith%2Bsigns%3D"
    with Peer() as peer, run(tmp_path, """
function on_event(event)
  local s = secret "TOKEN"
  http.post(event.data.url .. "/query", { query = { token = s }, json = { token = s } })
  http.get((event.data.url:gsub("//", "//user:plain-password@")) .. "/userinfo")
  http.get(event.data.url .. "/header", { headers = { Authorization = "Bearer " .. s, ["X-Key"] = s } })
  http.post(event.data.url .. "/body", { form = { token = s } })
  http.get("http://127.0.0.1:1/" .. s .. "?" .. s)
  log.info("result", { token = s, within = "x" .. s .. "y" })
  error("failed with " .. s)
end
""", "--retry-attempts", "1", env={"TOKEN": secret}, url=peer.url) as host:
        host.log(msg="handler failed")
        requests = {r.path.partition("?")[0]: r for r in peer.received(4)}
        assert requests["/query"].path.endswith("token=" + encoded) and requests["/header"].headers["X-Key"] == secret
        assert requests["/userinfo"].headers["Authorization"].startswith("Basic ")
        shown = eventually(lambda: [d for d in [host.api(f"deliveries/{host.id}")] if d["jobs"][0]["state"] == "dead"], "dead")[0]
        calls = shown["jobs"][0]["runs"][0]["calls"]
        assert [c["url"].partition("?")[0].rsplit("/", 1)[-1] for c in calls][:4] == ["query", "userinfo", "header", "body"]
        told = json.dumps([shown, host.lines])
        assert secret not in told and encoded not in told and plain not in told


def test_addresses_behind_names_are_checked(tmp_path):
    """localhost is a name as any other: what it leads to counts."""
    with Peer() as peer:
        host = Host(tmp_path, wait=False)
        host.write("a.lua", """
function on_event(event)
  for i, name in ipairs { "localhost", "LOCALHOST.", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]" } do
    local res, message, code = http.get("http://" .. name .. ":" .. event.data.port .. "/", { timeout = 5 })
    log.info("result", { i = i, code = code or res.status })
  end
end
""")
        with host.start():
            host.deliver("thing", envelope(port=str(peer.port)))
            codes = [host.log(msg="result", i=i)["code"] for i in range(1, 9)]
            assert set(codes) <= {"blocked", "resolve"} and codes[0] == "blocked", codes
            assert not peer.requests


def test_a_body_longer_than_is_wanted_is_not_read_to_its_end(tmp_path):
    with HostilePeer() as peer, run(tmp_path, """
function on_event(event)
  local res, message, code = http.get(event.data.url .. "/huge", { max_bytes = 1000 })
  local _, _, zipped = http.get(event.data.url .. "/zip", { max_bytes = 1000000 })
  log.info("result", { code = code, zipped = zipped })
end
""", url=peer.url) as host:
        line = host.log(msg="result")
        assert (line["code"], line["zipped"]) == ("too_large", "too_large")
        eventually(lambda: peer.open == 0, "both connections are closed")
