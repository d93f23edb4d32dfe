"""UI components, as Sentry asks for them: signed, answered by a script in time."""

import json
import time
import urllib.parse

import pytest

from host import SECRET, Host, eventually, sign
from peer import Peer
from test_handlers import envelope

PAGE = """
local calls = 0
alert_action {
  title = "Page the on-call",
  fields = {
    { name = "title", label = "Alert title", type = "text", required = true },
    { name = "description", label = "Alert description", type = "textarea", required = true },
    { name = "service", label = "Service", type = "select", options = function(q)
      if q.query == "boom" then error("no services") end
      if q.query == "none" then return nil, "There is no such service" end
      return { { value = 1, label = q.query .. "/" .. (q.projectSlug or "-"), default = true },
        { value = "two", label = tostring(q.dependentData.title) } }
    end },
  },
  validate = function(settings, request)
    calls = calls + 1
    log.info("validate", { settings = settings, calls = calls, installation = request.installationId })
    if settings.title == "loop" then while true do end end
    if settings.title == "sleep" then sleep(10) end
    if settings.title == "error" then error("it broke") end
    if settings.title == "bare" then return false end
    if settings.title == "kv" then kv.set("title", settings.description) return "kept " .. kv.get("title") end
    return settings.title ~= "bad", "Choose another title"
  end,
  fire = function(settings, alert, event)
    log.info("fired", { settings = settings, title = alert.title, missing = alert.settings_missing })
  end,
}
function on_alert(event) log.info("on_alert") end
"""

LINK = """
local function run(fields, request)
  if fields.title == "refuse" then return nil, "Not this one" end
  if fields.title == "forget" then return { webUrl = "https://x.example/1", project = "P" } end
  return { webUrl = "https://x.example/" .. request.issueId, project = "ACME", identifier = 7 }
end
local title = { name = "title", label = "Title", type = "text", required = true }
issue_link { create = { fields = { title }, run = run }, link = { fields = { title }, run = run } }
stacktrace_link { url = function(q)
  if q.filename == "x.py" then return "https://code.example/" .. q.filename .. "#L" .. q.lineNo + 1 end
  if q.filename == "odd" then return "javascript:1" end
  return nil, "No such file"
end }
"""


@pytest.fixture
def host(tmp_path):
    h = Host(tmp_path, "--ui-timeout", "3s", "--cpu-limit", "300ms", wait=False)
    h.write("page.lua", PAGE)
    h.write("link.lua", LINK)
    with h.start():
        yield h


def post(host, path, body, **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Sentry-App-Signature": sign(data), **headers}
    return host.request("POST", path, data, headers)


def options(host, query="", signature=None, path="/ui/options/service"):
    return host.request("GET", path + query, None, {"Sentry-App-Signature": signature or sign(b"")})


def save(host, **fields):
    body = {"installationId": "u-1", "fields": [{"name": k, "value": v} for k, v in fields.items()]}
    return post(host, "/ui/alert-rule-action", body)


def test_settings_are_validated_by_the_script(host):
    r = save(host, title="T", description="D", service=None)
    assert (r.status, r.json) == (200, {})
    line = host.log(msg="validate")
    assert line["settings"] == {"title": "T", "description": "D"} and line["installation"] == "u-1"
    assert line["script"] == "page" and "delivery" not in line
    r = save(host, title="bad", description="D")
    assert (r.status, r.json) == (400, {"message": "Choose another title"})
    r = save(host, title="bare", description="D")
    assert r.status == 400 and r.json["message"]


def test_what_waits_can_be_called(host):
    r = save(host, title="kv", description="D")
    assert (r.status, r.json) == (200, {"message": "kept D"})


def test_required_fields_are_refused_before_the_script(host):
    r = post(host, "/ui/alert-rule-action", {"installationId": "u-1", "fields": []})
    assert (r.status, r.json) == (400, {"message": "Title and description are required"})
    r = save(host, title="T", description="")
    assert (r.status, r.json) == (400, {"message": "Description is required"})
    assert not host.logged(msg="validate")


@pytest.mark.parametrize("headers, good", [
    ({"Sentry-App-Signature": ""}, False),
    ({"Sentry-App-Signature": sign(b"{}")}, False),
    ({"Sentry-App-Signature": "", "Sentry-Hook-Signature": None}, True),
])
def test_either_header_over_the_body(host, headers, good):
    body = json.dumps({"fields": []}).encode()
    headers = {k: sign(body) if v is None else v for k, v in headers.items() if v != ""}
    r = host.request("POST", "/ui/alert-rule-action", body, {"Content-Type": "application/json", **headers})
    assert r.status == (400 if good else 401)
    if not good:
        assert r.json == {"error": "bad_signature"}


def test_options_are_signed_over_nothing(host):
    r = options(host, "?installationId=u&projectSlug=shop&query=a+b&dependentData="
                + urllib.parse.quote_plus(json.dumps({"title": "T"})))
    assert r.status == 200
    assert r.json == [{"value": 1, "label": "a b/shop", "default": True}, {"value": "two", "label": "T"}]
    assert options(host).json[1]["label"] == "nil"
    assert options(host, "?query=a", signature=sign(b"?query=a")).status == 401
    r = options(host, "?query=none")
    assert (r.status, r.json) == (400, {"message": "There is no such service"})
    assert options(host, "?dependentData=x").status == 400
    assert options(host, "?query=%zz").status == 400


def test_a_script_that_fails_is_502_and_names_no_file(host):
    r = save(host, title="error", description="D")
    assert r.status == 502 and r.json["message"] and "lua" not in r.body.decode()
    line = host.log(msg="component failed")
    assert "scripts/page.lua:" in line["error"] and "it broke" in line["error"]
    assert line["component"] == "alert-rule-action" and line["script"] == "page"
    assert options(host, "?query=boom").status == 502


def test_a_script_in_a_loop_is_502_and_others_go_on(host):
    assert save(host, title="loop", description="D").status == 502
    assert "CPU limit" in host.log(msg="component failed")["error"]
    assert eventually(lambda: save(host, title="T", description="D").status == 200, "it answers again")


def test_too_late_is_504(host):
    r = save(host, title="sleep", description="D")
    assert r.status == 504 and r.json["message"]
    assert save(host, title="T", description="D").status == 200


SLEEPY = """
alert_action {
  title = "Sleepy", fields = { { name = "s", label = "Seconds", type = "text", required = true } },
  validate = function(settings)
    if settings.s:find "^http" then return false, tostring(assert(http.get(settings.s, { retries = 1 })).status) end
    sleep(settings.s)
    return false, "slept"
  end,
}
function on_event() sleep(2) end
"""


def test_its_own_deadline_counts_not_that_of_handlers(tmp_path):
    asked = []

    def busy(request):
        asked.append(request)
        return (503, "", {"Retry-After": "1"}) if len(asked) % 2 else (200, "")

    with Peer(busy) as peer, Host(tmp_path, "--ui-timeout", "20s", "--handler-timeout", "500ms", "--retry-attempts", "1",
                                  "--allow-private", wait=False) as host:
        host.write("sleepy.lua", SLEEPY)
        host.start()
        # Longer than a handler may take, and shorter than a component may.
        assert save(host, s="1s").json == {"message": "slept"}
        assert save(host, s=peer.url).json == {"message": "200"}
        assert len(asked) == 2
        # A handler is told of its own.
        assert host.deliver("thing", envelope(n=1)).status == 200
        assert "handler deadline of 500ms" in host.log(msg="handler failed")["error"]
        # There is no use in waiting for the end of it.
        begun = time.monotonic()
        late = save(host, s="40s")
        assert late.status == 504 and late.json["error"] == "timeout", late
        assert time.monotonic() - begun < 15
        error = host.log(msg="component timed out")["error"]
        assert error.endswith("sleep is longer than what is left of the 20s that a component has to answer (--ui-timeout)")


def test_a_handler_with_more_time_does_not_give_it_to_a_component(tmp_path):
    asked = []

    def busy(request):
        asked.append(request)
        return 503, "", {"Retry-After": "10"}

    with Peer(busy) as peer, Host(tmp_path, "--ui-timeout", "5s", "--handler-timeout", "30s", "--allow-private",
                                  wait=False) as host:
        host.write("sleepy.lua", SLEEPY)
        host.start()
        # The peer asks for more time than there is: its answer is the answer.
        assert save(host, s=peer.url).json == {"message": "503"}
        assert len(asked) == 1
        assert save(host, s="10s").status == 504


def test_what_is_not_declared_or_no_object(host):
    assert options(host, path="/ui/options/other").status == 404
    assert options(host, path="/ui/options/").status == 404
    assert post(host, "/ui/other", {}).status == 404
    assert post(host, "/i/nobody/ui/alert-rule-action", {}).status == 404
    for body in (b"[]", b"", b"{", b'"x"'):
        assert post(host, "/ui/alert-rule-action", body).status == 400
    assert host.request("GET", "/ui/alert-rule-action", None, {}).status == 405
    assert post(host, "/ui/options/service", {}).status == 405
    assert post(host, "/ui/alert-rule-action", {}, **{"Content-Type": "text/plain"}).status == 415


def test_an_issue_is_linked(host):
    body = {"fields": {"title": "T", "itemId": None}, "issueId": 123, "installationId": "u",
            "project": {"slug": "shop", "id": 1}, "actor": {"type": "user", "id": 1, "name": "A"}}
    for name in ("create", "link"):
        r = post(host, "/ui/issue-link/" + name, body)
        assert (r.status, r.json) == (
            200, {"webUrl": "https://x.example/123", "project": "ACME", "identifier": "7"})
    r = post(host, "/ui/issue-link/create", {"fields": {"title": "refuse"}})
    assert (r.status, r.json) == (400, {"message": "Not this one"})
    assert post(host, "/ui/issue-link/create", {"fields": {}}).json == {"message": "Title is required"}


def test_a_forgotten_part_names_script_and_part_in_the_log(host):
    assert post(host, "/ui/issue-link/create", {"fields": {"title": "forget"}}).status == 502
    line = host.log(msg="component failed")
    assert line["script"] == "link" and "identifier" in line["error"] and "issue_link.create" in line["error"]


def test_a_link_beside_a_stack_frame(host):
    r = host.request("GET", "/ui/stacktrace-link?filename=x.py&lineNo=41&projectSlug=shop", None, {})
    assert r.status == 302 and r.headers["location"] == "https://code.example/x.py#L42"
    r = host.request("GET", "/ui/stacktrace-link?filename=y.py&lineNo=1", None, {})
    assert (r.status, r.json) == (404, {"message": "No such file"})
    assert host.request("GET", "/ui/stacktrace-link?filename=odd", None, {}).status == 502


def test_links_are_ten_a_second_an_address(host):
    seen = [host.request("GET", "/ui/stacktrace-link?filename=y", None, {}).status for _ in range(200)]
    assert 429 in seen and seen[:5] == [404] * 5
    assert save(host, title="T", description="D").status == 200


def test_another_integration_has_its_own(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "page.lua").write_text(PAGE)
    (tmp_path / "moonpost.lua").write_text(
        'return { integrations = { shop = { client_secret = "other", scripts = "%s/shop" } } }' % tmp_path)
    with Host(tmp_path, "--config", str(tmp_path / "moonpost.lua")) as host:
        body = json.dumps({"fields": [{"name": "title", "value": "bad"}, {"name": "description", "value": "D"}]})
        headers = {"Content-Type": "application/json", "Sentry-App-Signature": sign(body.encode(), "other")}
        r = host.request("POST", "/i/shop/ui/alert-rule-action", body.encode(), headers)
        assert (r.status, r.json) == (400, {"message": "Choose another title"})
        assert save(host, title="T", description="D").status == 404
        headers["Sentry-App-Signature"] = sign(body.encode(), SECRET)
        assert host.request("POST", "/i/shop/ui/alert-rule-action", body.encode(), headers).status == 401


def test_fire_is_a_job_beside_the_handler(host):
    body = {"action": "triggered", "installation": {"uuid": "u"}, "actor": {"type": "application", "id": "s", "name": "S"},
            "data": {"triggered_rule": "Rule", "event": {"title": "Boom", "issue_id": "1"},
                     "issue_alert": {"title": "Mine", "settings": [{"name": "title", "value": "T"}]}}}
    data = json.dumps(body).encode()
    r = host.request("POST", "/webhook", data, {
        "Content-Type": "application/json", "Sentry-Hook-Resource": "event_alert",
        "Sentry-Hook-Signature": sign(data)})
    assert r.status == 200, r
    line = host.log(msg="fired")
    assert line["settings"] == {"title": "T"} and line["title"] == "Mine" and line["missing"] is False
    assert line["delivery"] == r.json["id"]
    host.log(msg="on_alert")
    host.log(msg="job done", handler="alert_action.fire")


def test_one_of_each_in_an_integration(host):
    host.write("second.lua", PAGE)
    line = host.log(msg="script failed to load", script="second")
    assert line["error"].startswith("scripts/second.lua: alert_action is declared in scripts/page.lua already") or \
        "second.lua" in line["error"] and "page.lua" in line["error"]
    # It moves: the other one may load as soon as the first lets go.
    host.write("page.lua", "function on_issue() end")
    host.log(msg="script loaded", script="second")
    assert save(host, title="T", description="D").status == 200


def test_it_answers_again_after_its_worker_died(host):
    import os
    import signal
    pids = [line["pid"] for line in host.logged(msg="worker ready")]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: save(host, title="T", description="D").status == 200, "it answers again")


def test_a_save_drops_no_request(host):
    import threading
    seen, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            seen.append(save(host, title="T", description="D").status)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for t in threads:
        t.start()
    for n in range(5):
        host.write("page.lua", PAGE + f"\n-- {n}")
        host.log(count=n + 2, msg="script loaded", script="page")
    stop.set()
    for t in threads:
        t.join()
    assert set(seen) == {200}


ODD = """
local odd = {
  large = function() return { { value = ("x"):rep(2 << 20), label = "x" } } end,
  func = function() return { { value = print, label = "x" } } end,
  bytes = function() return { { value = "a", label = "\\xff" } } end,
  table = function() return { { value = "a", label = {} } } end,
  number = function() return 7 end,
  half = function() return { { value = "a" } } end,
  holes = function() return { [3] = { value = "a", label = "b" } } end,
  ring = function() local t = { value = {}, label = "x" } t.value.t = t.value return { t } end,
  meta = function() return setmetatable({}, { __pairs = function() return function() return 1 end end }) end,
  raise = function() error({ code = 1 }) end,
  memory = function() local t = {} for i = 1, 1e8 do t[i] = i end end,
  yield = function() coroutine.yield() end,
  message = function() return nil, { a = 1 } end,
  empty = function() return {} end,
}
alert_action { title = "Odd", fields = { { name = "x", label = "X", type = "select", required = true,
  options = function(q) return odd[q.query]() end } } }
"""


def test_odd_answers_are_the_scripts_fault_alone(tmp_path):
    with Host(tmp_path, "--ui-timeout", "5s", "--cpu-limit", "2s", "--memory-limit", "16MiB", wait=False) as host:
        host.write("odd.lua", ODD)
        host.start()
        for query in ("large", "func", "table", "number", "half", "holes", "ring", "meta", "raise", "memory", "yield"):
            r = options(host, "?query=" + query, path="/ui/options/x")
            assert (query, r.status) == (query, 502), r
            assert "lua" not in r.body.decode()
        r = options(host, "?query=message", path="/ui/options/x")
        assert r.status == 400 and isinstance(r.json["message"], str)
        r = options(host, "?query=empty", path="/ui/options/x")
        assert (r.status, r.body) == (200, b"[]")
        r = options(host, "?query=bytes", path="/ui/options/x")
        assert (r.status, r.json) == (200, [{"value": "a", "label": "\ufffd"}])
