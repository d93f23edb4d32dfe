"""The http module against peers on loopback: what goes out, what comes back, what is refused."""

import json
import os
import signal
import socket

import pytest

from host import Host
from peer import Peer
from test_handlers import envelope


def run(tmp_path, peer, source, *options, **env):
    """Serve `source` with `peer.url` as the secret PEER_URL, and send one delivery."""
    host = Host(tmp_path, *(options or ("--allow-host", "127.0.0.1")), "--retry-base", "50ms", wait=False,
                env=dict(env, PEER_URL=peer.url))
    host.write("a.lua", 'local URL = secret "PEER_URL"\n' + source)
    host.start()
    assert host.deliver("thing", envelope()).status == 200
    return host


def test_what_goes_out(tmp_path):
    with Peer(lambda r: (201, {"key": "OPS-1"}, {"X-Kind": "made"})) as peer, run(tmp_path / "bad", peer, """
function on_event(event)
  local res = assert(http.post(URL .. "/a b", { json = { id = 4505281256062976, list = json.array {} } }))
end
""") as host:
        assert "space" in host.log(msg="handler failed")["error"]
    with Peer(lambda r: (201, {"key": "OPS-1"}, {"X-Kind": "made"})) as peer, run(tmp_path / "good", peer, """
function on_event(event)
  local res = assert(http.post(URL .. "/new?a=1#part", {
    json = { id = 4505281256062976, list = json.array {}, nothing = json.null },
    query = { q = "x y&z", n = 3, list = { "p", "q" } },
    headers = { ["X-Mine"] = "yes", Authorization = "Bearer t" },
  }))
  log.info("made", { status = res.status, ok = res.ok, key = res:json().key, kind = res.headers["x-KIND"],
    type = type(res.body) })
  http.put(URL .. "/form", { form = { b = "2 3", a = "ä" } })
  http.delete(URL .. "/gone")
  http.patch(URL .. "/raw", { body = "text", headers = { ["Content-Type"] = "text/plain" } })
  http.request { url = URL .. "/get" }
end
""") as host:
        line = host.log(msg="made")
        assert (line["status"], line["ok"], line["key"], line["kind"]) == (201, True, "OPS-1", "made")
        post, put, delete, patch, get = peer.received(5)
        assert (post.method, post.path) == ("POST", "/new?a=1&list=p&list=q&n=3&q=x%20y%26z")
        assert json.loads(post.body) == {"id": 4505281256062976, "list": [], "nothing": None}
        assert post.headers["Content-Type"] == "application/json"
        assert (post.headers["X-Mine"], post.headers["Authorization"]) == ("yes", "Bearer t")
        assert post.headers["User-Agent"].startswith("moonpost/")
        assert (put.method, put.body) == ("PUT", b"a=%C3%A4&b=2+3")
        assert put.headers["Content-Type"] == "application/x-www-form-urlencoded"
        assert (delete.method, delete.path) == ("DELETE", "/gone")
        assert (patch.method, patch.body, patch.headers["Content-Type"]) == ("PATCH", b"text", "text/plain")
        assert (get.method, get.path) == ("GET", "/get")
        host.log(msg="job done")


def test_a_status_is_no_error_and_trouble_is_nil(tmp_path):
    with Peer(lambda r: (404, "no") if r.path == "/404" else (200, "x" * 100)) as peer, run(tmp_path, peer, """
function on_event(event)
  local res = assert(http.get(URL .. "/404"))
  log.info("status", { status = res.status, ok = res.ok, body = res.body })
  local got, message, code = http.get("http://127.0.0.1:1/")
  log.info("connect", { got = tostring(got), code = code, message = message })
  got, message, code = http.get(URL .. "/long", { max_bytes = 99 })
  log.info("long", { code = code })
  got, message, code = http.get("http://10.0.0.1/")
  log.info("blocked", { code = code, message = message })
  got, message, code = http.get("http://nowhere.invalid/")
  log.info("resolve", { code = code })
  local value, why, offset = http.get(URL .. "/x"):json()
  log.info("json", { value = tostring(value), offset = offset })
end
""") as host:
        line = host.log(msg="status")
        assert (line["status"], line["ok"], line["body"]) == (404, False, "no")
        line = host.log(msg="connect")
        assert (line["got"], line["code"]) == ("nil", "connect")
        assert host.log(msg="long")["code"] == "too_large"
        line = host.log(msg="blocked")
        assert line["code"] == "blocked" and "--allow-host" in line["message"]
        assert host.log(msg="resolve")["code"] == "resolve"
        line = host.log(msg="json")
        assert (line["value"], line["offset"]) == ("nil", 0)


def test_loopback_is_refused_unless_it_was_opened(tmp_path):
    source = """
function on_event(event)
  local res, message, code = http.get(URL .. "/")
  log.info("result", { status = res and res.status, code = code })
end
"""
    with Peer() as peer:
        with run(tmp_path, peer, source, "--log-level", "debug") as host:
            assert host.log(msg="result")["code"] == "blocked"
        with run(tmp_path, peer, source, "--dev") as host:
            assert host.log(msg="result")["status"] == 200
        with run(tmp_path, peer, source, "--allow-private") as host:
            assert host.log(msg="result")["status"] == 200
        with run(tmp_path, peer, source, "--allow-host", "127.0.0.1:1") as host:
            assert host.log(msg="result")["code"] == "blocked"


ASKS_ITSELF = """
function on_event(event)
  for _, url in ipairs(event.data.urls) do
    local res, message, code = http.get(url)
    log.info("asked", { url = url, status = res and res.status, code = code })
  end
end
"""


def own_address():
    """One of this machine's besides loopback, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return s.getsockname()[0]


@pytest.mark.parametrize("options", [["--dev"], ["--allow-private"],
                                     ["--allow-host", "127.0.0.1", "--allow-host", "localhost"]],
                         ids=lambda options: options[0])
def test_nothing_leads_back_into_moonpost(tmp_path, options):
    with Peer(lambda r: (200, "peer")) as peer:
        host = Host(tmp_path, *options, wait=False)
        host.write("a.lua", ASKS_ITSELF)
        host.start()
        with host:
            names = ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "0x7f.1"]
            if own_address():
                names.append(own_address())
            own = [f"http://{name}:{port}/healthz" for name in names for port in (host.port, host.console_port)]

            def codes(urls):
                n = len(host.logged(msg="asked"))
                assert host.deliver("thing", envelope(urls=urls)).status == 200
                host.log(count=n + len(urls), msg="asked")
                return [line.get("code") or line.get("status") for line in host.logged(msg="asked")[n:]]

            assert codes([peer.url + "/"]) == [200], "it is open"
            assert codes(own) == ["blocked"] * len(own)

            # The workers that come after those of the start know it, too.
            for line in host.logged(msg="worker ready"):
                os.kill(line["pid"], signal.SIGKILL)
            assert codes([peer.url + "/"]) == [200]
            assert codes(own) == ["blocked"] * len(own)


def test_all_at_once(tmp_path):
    with Peer(lambda r: (200, r.path)) as peer, run(tmp_path, peer, """
function on_event(event)
  local list = {}
  for i = 1, 40 do list[i] = { url = URL .. "/" .. i } end
  list[41] = { method = "POST", url = "http://127.0.0.1:1/", json = {} }
  local all = http.all(list)
  local right = 0
  for i = 1, 40 do if all[i].body == "/" .. i then right = right + 1 end end
  log.info("all", { n = #all, right = right, code = all[41].code, error = type(all[41].error), none = #http.all {} })
end
""") as host:
        line = host.log(msg="all")
        assert (line["n"], line["right"], line["code"], line["error"]) == (41, 40, "connect", "string")
        assert line["none"] == 0


def test_what_may_be_repeated_is_retried(tmp_path):
    answers = {"/get": [503, 502, 200], "/post": [503], "/keyed": [503, 200]}

    def answer(request):
        left = answers[request.path]
        return (left.pop(0), "", {"Retry-After": "0"})

    with Peer(answer) as peer, run(tmp_path, peer, """
function on_event(event)
  local get = http.get(URL .. "/get", { retries = 3 })
  local post = http.post(URL .. "/post", { retries = 3, json = {} })
  local keyed = http.post(URL .. "/keyed", { retries = 3, json = {}, headers = { ["Idempotency-Key"] = "k" } })
  log.info("retried", { get = get.status, post = post.status, keyed = keyed.status })
end
""") as host:
        line = host.log(msg="retried")
        assert (line["get"], line["post"], line["keyed"]) == (200, 503, 200)
        assert [r.path for r in peer.requests] == ["/get"] * 3 + ["/post"] + ["/keyed"] * 2


def test_redirects_are_followed_when_asked(tmp_path):
    def answer(request):
        if request.path == "/from":
            return 302, "", {"Location": "/to"}
        if request.path == "/out":
            return 302, "", {"Location": "http://10.0.0.1/"}
        return 200, "arrived"

    with Peer(answer) as peer, run(tmp_path, peer, """
function on_event(event)
  local plain = http.get(URL .. "/from")
  local followed = http.get(URL .. "/from", { follow = true })
  local _, _, code = http.get(URL .. "/out", { follow = 2 })
  log.info("followed", { plain = plain.status, body = followed.body, out = code })
end
""") as host:
        line = host.log(msg="followed")
        assert (line["plain"], line["body"], line["out"]) == (302, "arrived", "blocked")


def test_mistakes_are_told(tmp_path):
    calls = {
        'http.get()': "string expected",
        'http.get(URL, { timout = 5 })': "timeout",
        'http.get("ftp://x/")': "not an http or https URL",
        'http.get(URL, { timeout = 0 })': "timeout",
        'http.get(URL, { headers = { ["a b"] = "x" } })': "a b",
        'http.get(URL, { headers = { a = "x\\r\\ny" } })': "line break",
        'http.post(URL, { json = {}, body = "x" })': "only one of",
        'http.post(URL, { json = { f = print } })': "json",
        'http.post(URL, { form = { a = {} , b = print } })': "form",
        'http.request { method = "G ET", url = URL }': "method",
        'http.all { "x" }': "request 1",
        'coroutine.wrap(function() http.get(URL) end)()': "coroutine",
    }
    source = "".join(f"calls[#calls + 1] = function() {c} end\n" for c in calls)
    with Peer() as peer, run(tmp_path, peer, "local calls = {}\n" + source + """
function on_event(event)
  for i, f in ipairs(calls) do
    local ok, message = pcall(f)
    log.info("mistake", { i = i, ok = ok, message = tostring(message) })
  end
end
""") as host:
        for i, (call, part) in enumerate(calls.items(), 1):
            line = host.log(msg="mistake", i=i)
            assert line["ok"] is False and part in line["message"], (call, line)
        assert not peer.requests


def test_a_deadline_ends_a_call_that_hangs(tmp_path):
    import threading
    stop = threading.Event()
    def hang(request):
        stop.wait(30)
        return 200, ""
    with Peer(hang) as peer, run(tmp_path, peer, """
function on_event(event)
  local res, message, code = http.get(URL, { timeout = "100ms" })
  log.info("timeout", { code = code })
  http.get(URL, { timeout = 60 })
end
""", "--allow-host", "127.0.0.1", "--handler-timeout", "500ms") as host:
        assert host.log(msg="timeout")["code"] == "timeout"
        assert "deadline" in host.log(msg="handler failed")["error"]
        stop.set()
