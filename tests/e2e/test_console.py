"""The console: who gets in, what it shows, what it does, and what it tells as it happens."""

import base64
import http.client
import json
import os
import queue
import socket
import threading
import time
import urllib.parse

import pytest

from host import PATIENCE_S, Host, eventually

UUID = "24b397fc-a86e-43ef-9297-949e21b82480"


def envelope(action="created", **data):
    return {"action": action, "installation": {"uuid": UUID}, "data": data,
            "actor": {"type": "user", "id": 789, "name": "Ada"}}


def issue(**fields):
    return {"issue": dict({"id": "1234567890", "shortId": "PY-1", "title": "Boom", "culprit": "app", "level": "error",
                           "status": "unresolved", "project": {"id": "1", "name": "py", "slug": "py"},
                           "permalink": None}, **fields)}


def states(host, delivery):
    return {job["script"]: job["state"] for job in host.api(f"deliveries/{delivery}")["jobs"]}


def wait_for(host, delivery, **wanted):
    return eventually(lambda: states(host, delivery) == wanted and wanted, f"{delivery}: {wanted}, "
                      f"is {states(host, delivery)}")


class Follower:
    """Reads /api/events on a thread."""

    def __init__(self, host, last=None):
        headers = {"Authorization": f"Bearer {host.token}"}
        if last is not None:
            headers["Last-Event-ID"] = str(last)
        self.conn = http.client.HTTPConnection("127.0.0.1", host.console_port, timeout=PATIENCE_S)
        self.conn.request("GET", "/api/events", headers=headers)
        self.answer = self.conn.getresponse()
        assert self.answer.status == 200, self.answer.read()
        assert self.answer.headers["Content-Type"] == "text/event-stream"
        self.sock = self.conn.sock or self.answer.fp.raw._sock
        self.events = queue.Queue()
        self.seen = []
        # The stream has begun once its first line is there.
        assert self.answer.readline().startswith(b"retry:")
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        event = {}
        try:
            while True:
                line = self.answer.readline().decode()
                if not line:
                    break
                line = line.rstrip("\n")
                if line == "":
                    if "event" in event:
                        self.events.put((event.get("id"), event["event"], json.loads(event["data"])))
                    event = {}
                elif not line.startswith(":"):
                    key, _, value = line.partition(": ")
                    event[key] = value
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass
        self.events.put(None)

    def wait(self, kind, /, **fields):
        """An event of that kind with these members; a job may be told before its delivery."""
        at = 0
        while True:
            if at == len(self.seen):
                event = self.events.get(timeout=PATIENCE_S)
                assert event is not None, f"the stream ended; saw {self.seen}"
                self.seen.append(event)
            event = self.seen[at]
            at += 1
            if event[1] == kind and all(event[2].get(k) == v for k, v in fields.items()):
                return event

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.conn.close()


@pytest.fixture
def host(tmp_path):
    host = Host(tmp_path, "--retry-base", "30m", "--retry-max", "1h", env={"JIRA_TOKEN": "s3cr3t/jira+token"},
                wait=False)
    host.write("triage.lua", """
function on_issue(event)
  log.info("looking", { level = event.data.issue.level })
  if event.data.issue.level == "fatal" then error("cannot do fatal ones") end
  if event.data.issue.level == "info" then event:drop("not interesting") end
end
""")
    with host.start():
        yield host


# ---- who gets in -----------------------------------------------------------
def test_nobody_gets_in_without_the_token(host):
    for method, path in [("GET", "/"), ("GET", "/api/deliveries"), ("GET", "/metrics"), ("GET", "/api/events"),
                         ("POST", "/api/reload"), ("GET", "/nothing"), ("GET", "/?token=wrong"), ("GET", "/?token=")]:
        answer = host.console(method, path, token=False)
        assert (answer.status, answer.json["error"]) == (401, "unauthorized"), (path, answer)
        assert "Set-Cookie" not in answer.headers
    for value in ("Bearer", "Bearer ", "Bearer x", f"Basic {host.token}", host.token, f"Bearer {host.token}x",
                  f"Bearer {host.token[:-1]}"):
        assert host.console("GET", "/api/scripts", token=False, headers={"Authorization": value}).status == 401, value
    assert host.console("GET", "/healthz", token=False).json == {"status": "ok"}
    assert host.console("GET", "/api/scripts").status == 200


def test_the_token_is_private_and_stays(host):
    path = os.path.join(host.data, "console-token")
    assert os.stat(path).st_mode & 0o777 == 0o600
    token = host.token
    assert len(token) == 64
    host.stop()
    assert not os.path.exists(os.path.join(host.data, "console-address"))
    assert token not in host.tail(10000)
    host.start()
    assert host.token == token
    assert host.api("deliveries")["deliveries"] == []


def test_another_token_can_be_set(tmp_path):
    with Host(tmp_path, "--console-token", "my own +token/") as host:
        assert host.console("GET", "/api/scripts", token=False).status == 401
        assert host.console("GET", "/api/scripts", token=False,
                            headers={"Authorization": "Bearer my own +token/"}).status == 200
        assert host.console("GET", "/?token=" + urllib.parse.quote_plus("my own +token/"), token=False).status == 303
        assert host.token == "my own +token/", "the commands look for it there"


def test_a_browser_gets_a_cookie(host):
    answer = host.console("GET", f"/?token={host.token}", token=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    cookie, *rest = answer.headers["Set-Cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(rest)
    assert host.token not in cookie
    page = host.console("GET", "/", token=False, headers={"Cookie": f"other=1; {cookie}"})
    assert page.status == 200 and page.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert host.console("GET", "/api/scripts", token=False, headers={"Cookie": cookie}).status == 200
    for bad in (cookie[:-1], cookie + "0", cookie.replace("=", "=x"), "x" + cookie, cookie.split("=")[0] + "="):
        assert host.console("GET", "/api/scripts", token=False, headers={"Cookie": bad}).status == 401, bad


def test_it_answers_to_its_own_names_only(host):
    port = host.console_port
    for name in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}", f"[::1]:{port}", "localhost:9999"):
        assert host.console("GET", "/api/scripts", headers={"Host": name}).status == 200, name
    for name in (f"evil.example:{port}", "evil.example", f"127.0.0.1.evil.example:{port}", f"10.0.0.1:{port}",
                 f"localhost.evil.example:{port}", "[::1", ":8081"):
        answer = host.console("GET", "/api/scripts", headers={"Host": name})
        assert answer.status in (400, 403), (name, answer)
    assert host.console("GET", f"/?token={host.token}", headers={"Host": "evil.example"}, token=False).status == 403


def test_pages_from_elsewhere_are_refused(host):
    port = host.console_port
    assert host.console("GET", "/api/scripts", headers={"Origin": f"http://127.0.0.1:{port}"}).status == 200
    for origin in ("http://evil.example", "null", f"http://localhost:{port}", f"http://127.0.0.1:{port + 1}",
                   "http://127.0.0.1", f"http://127.0.0.1:{port}.evil.example", ""):
        for method, path in (("GET", "/api/scripts"), ("POST", "/api/reload")):
            answer = host.console(method, path, headers={"Origin": origin})
            assert (answer.status, answer.json["error"]) == (403, "wrong_origin"), (origin, answer)


def test_changes_are_json_by_post(host):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp", None):
        answer = host.console("POST", "/api/reload", b"{}", headers={"Content-Type": kind})
        assert (answer.status, answer.json["error"]) == (415, "unsupported_media_type"), kind
    assert host.console("POST", "/api/reload", b"{}",
                        headers={"Content-Type": "application/json; charset=utf-8"}).status == 200
    assert host.console("POST", "/api/reload", b"").status == 200, "nothing is an empty object"
    answer = host.console("POST", "/api/reload", b"{")
    assert (answer.status, answer.json["error"]) == (400, "invalid_json")
    assert host.console("POST", "/api/reload", b"[]").status == 400
    for method, path, allow in [("GET", "/api/reload", "POST"), ("POST", "/api/deliveries", "GET"),
                                ("PUT", "/api/scripts/triage/pause", "POST"), ("DELETE", "/api/deliveries/1", "GET")]:
        answer = host.console(method, path, headers={"Content-Type": "application/json"})
        assert (answer.status, answer.headers["Allow"]) == (405, allow), (method, path, answer)
    for path in ("/nothing", "/api", "/api/deliveries/", "/api/deliveries/1/nothing", "/api/scripts/a/b/pause"):
        assert host.console("GET", path).status == 404, path


def test_it_can_be_off_or_elsewhere(tmp_path):
    with Host(tmp_path, "--console", "off") as host:
        assert not host.logged(msg="console")
        assert host.deliver("issue", envelope(**issue())).status == 200


def test_a_port_in_use_is_told(tmp_path, moonpost):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        address = f"127.0.0.1:{s.getsockname()[1]}"
        (tmp_path / "scripts").mkdir()
        r = moonpost("serve", "--dev", "--listen", "127.0.0.1:0", "--console", address)
        assert r.status == 3 and f"console (--console): cannot listen on {address}" in r.err


# ---- what it shows -----------------------------------------------------------
def test_the_list_has_pages_and_filters(host):
    ids = []
    for n in range(5):
        ids.append(host.deliver("issue", envelope(**issue(title=f"Title {n}"))).json["id"])
    dead = host.deliver("issue", envelope(**issue(level="fatal"))).json["id"]
    dropped = host.deliver("issue", envelope("resolved", **issue(level="info"))).json["id"]
    comment = host.deliver("comment", envelope(comment="hi", project_slug="py", comment_id=1, issue_id=1,
                                               timestamp="2026-01-31T12:00:00Z")).json["id"]
    bad = host.deliver("issue", envelope(**issue(level="loud"))).json["id"]
    wait_for(host, dead, triage="retrying")
    wait_for(host, dropped, triage="dropped")
    for n in ids:
        wait_for(host, n, triage="done")

    def found(**query):
        return [d["id"] for d in host.api("deliveries", **query)["deliveries"]]

    everything = [bad, comment, dropped, dead, *reversed(ids)]
    assert found() == everything
    assert host.api("deliveries")["next"] is None
    assert found(state="done") == list(reversed(ids))
    assert found(state="retrying") == [dead]
    assert found(state="invalid") == [bad]
    assert found(state="unhandled") == [comment]
    assert found(state="dropped", resource="issue", action="resolved", script="triage", integration="default",
                 since="1h", q="Boom") == [dropped]
    assert found(resource="comment") == [comment]
    assert found(script="triage", state="") == [dropped, dead, *reversed(ids)]
    assert found(script="nobody") == found(integration="nobody") == found(q="no such text") == []
    assert found(q="title 3") == [ids[3]]
    assert found(q="cannot do fatal") == [dead]
    assert found(since="2000-01-01T00:00:00+01:00") == everything
    assert found(until="2000-01-01T00:00:00Z") == found(since="2999-01-01T00:00:00Z") == []

    pages, before = [], None
    while True:
        page = host.api("deliveries", limit=4, **({"before": before} if before else {}))
        pages += [d["id"] for d in page["deliveries"]]
        assert len(page["deliveries"]) <= 4
        before = page["next"]
        if before is None:
            break
    assert pages == everything

    d = host.api("deliveries", state="done", limit=1)["deliveries"][0]
    assert set(d) == {"id", "integration", "channel", "resource", "action", "request_id", "idempotency_key",
                      "possible_duplicate_of", "received_at", "size", "state", "jobs"}
    assert d["jobs"] == [{"script": "triage", "handler": "on_issue", "state": "done", "attempts": 1, "next_at": None,
                          "error": None}]


@pytest.mark.parametrize("query, word", [
    ("state=deaf", "state"), ("limit=0", "limit"), ("limit=x", "limit"), ("limit=-1", "limit"), ("before=x", "before"),
    ("before=0", "before"), ("before=99999999999999999999", "before"), ("since=yesterday", "since"),
    ("until=2026-13-01T00:00:00Z", "until"), ("stat=dead", "did you mean 'state'"), ("a%zz=1", "encoded"),
    ("q=a%00b", "encoded"),
])
def test_a_bad_filter_is_told(host, query, word):
    answer = host.console("GET", f"/api/deliveries?{query}")
    assert (answer.status, answer.json["error"]) == (400, "bad_filter")
    assert word in answer.json["message"]


def test_one_delivery_is_shown_whole(host):
    body = envelope(**issue(level="fatal", n=1.50, big=12345678901234567890, empty=[], none={}))
    raw = json.dumps(body, separators=(", ", " :")).encode()
    delivery = host.deliver("issue", raw, key="k1").json["id"]
    wait_for(host, delivery, triage="retrying")
    answer = host.console("GET", f"/api/deliveries/{delivery}")
    assert raw in answer.body, "the payload is byte by byte what came in"
    d = answer.json
    assert d["idempotency_key"] == "k1" and d["state"] == "retrying" and d["violation"] is None
    assert d["headers"]["Sentry-Hook-Resource"] == "issue"
    assert not [name for name in d["headers"] if "signature" in name.lower()]
    job = d["jobs"][0]
    assert job["attempts"] == 1 and job["next_at"].endswith("Z") and job["steps"] == []
    run, = job["runs"]
    assert run["outcome"] == "error" and run["n"] == 1 and run["calls"] == []
    assert "cannot do fatal ones" in run["error"] and "in handler on_issue" in run["traceback"]
    line, = run["log"]
    assert (line["level"], line["message"], line["fields"]) == ("info", "looking", {"level": "fatal"})
    assert run["cpu_ms"] >= 0 and run["memory_bytes"] > 0 and run["duration_ms"] >= 0

    bad = host.deliver("issue", envelope(**issue(level="loud"))).json["id"]
    d = host.api(f"deliveries/{bad}")
    assert d["state"] == "invalid" and d["jobs"] == [] and d["violation"]["pointer"] == "/data/issue/level"
    for nobody in ("999", "0", "x", "-1", "1x", "99999999999999999999"):
        answer = host.console("GET", f"/api/deliveries/{nobody}")
        assert (answer.status, answer.json["error"]) == (404, "not_found"), nobody


def test_secrets_are_not_shown(host):
    token = "s3cr3t/jira+token"
    host.stop()
    host.write("leaky.lua", """
function on_issue(event)
  local token = secret "JIRA_TOKEN"
  log.warn("using " .. token, { token = token })
  error("jira said no to " .. token)
end
""")
    host.start()
    encoded = base64.b64encode(token.encode()).decode()
    body = envelope(**issue(title=f"with {token} in it", culprit=encoded, link="https://x/?t=" + urllib.parse.quote(token, "")))
    answer = host.deliver("issue", body, X_Api="mine", Authorization="Bearer abc", X_Forwarded_For="10.1.2.3",
                          Cookie="a=b", Api_Key="k", My_Token="t", Plain="fine")
    delivery = answer.json["id"]
    host.log(msg="handler failed", script="leaky")
    text = ""

    def leaked():
        nonlocal text
        text = host.console("GET", f"/api/deliveries/{delivery}").body.decode()
        return [j for j in json.loads(text)["jobs"] if j["script"] == "leaky" and j["state"] == "retrying"]
    eventually(leaked, "the leaky job has failed")
    for form in (token, token.replace("/", "\\/"), encoded, urllib.parse.quote(token, "")):
        assert form not in text, form
        assert form not in host.console("GET", "/api/deliveries").body.decode()
    d = json.loads(text)
    assert d["payload"]["data"]["issue"]["title"] == "with [redacted] in it"
    hidden = {name for name, value in d["headers"].items() if value == "[redacted]"}
    assert hidden == {"X-Api", "Authorization", "X-Forwarded-For", "Cookie", "Api-Key", "My-Token"}
    assert d["headers"]["Plain"] == "fine"


def test_a_secret_is_not_cut_in_half_and_shown(tmp_path):
    """Texts have a cap; a secret that lies across it is taken out before that cuts."""
    token = "tok-" + "".join(f"{n:03d}" for n in range(100))
    host = Host(tmp_path, "--retry-attempts", "1", env={"JIRA_TOKEN": token}, wait=False)
    host.write("leaky.lua", """
function on_issue(event)
  local token = secret "JIRA_TOKEN"
  for before = 10, 310, 50 do
    log.warn(("x"):rep(8192 - before) .. token .. ("y"):rep(500))
    http.get("http://127.0.0.1:9/" .. ("x"):rep(2048 - 19 - before) .. token .. ("y"):rep(500))
  end
  error(("x"):rep(8192 - 100) .. token .. ("y"):rep(500), 0)
end
""")
    with host.start():
        delivery = host.deliver("issue", envelope(**issue())).json["id"]
        line = host.log(msg="handler failed", script="leaky")
        wait_for(host, delivery, leaky="dead")
        shown = host.api(f"deliveries/{delivery}")
        run = shown["jobs"][0]["runs"][0]
        assert [len(run["error"]), len(run["log"]), len(run["calls"])] == [8192, 7, 7]
        assert all(len(c["url"]) <= 2048 and "[redacted]"[:4] in c["url"] for c in run["calls"])
        for text in (json.dumps(shown), json.dumps(line), json.dumps(host.lines)):
            assert "tok-0" not in text and "000001" not in text


def test_a_secret_that_is_a_number_leaves_json(tmp_path):
    host = Host(tmp_path, env={"PIN": "1234567890"}, wait=False)
    host.write("a.lua", 'function on_issue(event) log.info("pin", { pin = secret "PIN" }) end')
    with host.start():
        delivery = host.deliver("issue", envelope(**issue(n=12345678901))).json["id"]
        wait_for(host, delivery, a="done")
        d = host.api(f"deliveries/{delivery}")
        assert d["payload"]["data"]["issue"]["id"] == "[redacted]"
        assert d["payload"]["data"]["issue"]["n"] == "[redacted]"


def test_the_code_of_an_installation_is_not_shown(host):
    host.stop()
    host.write("install.lua", """
function on_installation(event)
  log.info("got it", { code = event.data.installation.code, note = "code " .. event.data.installation.code })
end
""")
    host.start()
    code = "07f8ed0ed5f9412b9cf2e4b7a2ea2e6c"
    body = {"action": "created", "actor": {"type": "user", "id": 1, "name": "Ada"}, "installation": {"uuid": UUID},
            "data": {"installation": {"app": {"uuid": UUID, "slug": "a"}, "code": code, "organization": {"slug": "o"},
                                      "status": "pending", "uuid": UUID}}}
    raw = json.dumps(body).replace('"code"', '"\\u0063ode"').encode()
    for sent in (body, raw):
        delivery = host.deliver("installation", sent).json["id"]
        wait_for(host, delivery, install="done")
        answer = host.console("GET", f"/api/deliveries/{delivery}")
        assert code not in answer.body.decode()
        assert answer.json["payload"]["data"]["installation"]["code"] == "[redacted]"
        assert answer.json["payload"]["data"]["installation"]["status"] == "pending"
        assert answer.json["jobs"][0]["runs"][0]["log"][0]["fields"]["note"] == "code [redacted]"


def test_a_payload_may_be_nested_deeply(host):
    deep = "[" * 500 + "]" * 500
    raw = json.dumps(envelope()).replace('"data": {}', '"data": {"deep": %s}' % deep).encode()
    delivery = host.deliver("strange", raw).json["id"]
    answer = host.console("GET", f"/api/deliveries/{delivery}")
    assert answer.status == 200 and deep.encode() in answer.body


def test_scripts_and_metrics(host):
    delivery = host.deliver("issue", envelope(**issue())).json["id"]
    wait_for(host, delivery, triage="done")
    host.write("broken.lua", "function on_issue(")
    host.log(level="error", script="broken")
    scripts = {s["name"]: s for s in host.api("scripts")["scripts"]}
    good, bad = scripts["triage"], scripts["broken"]
    assert good["state"] == "loaded" and good["handlers"] == ["on_issue"] and good["error"] is None
    assert good["version"] and good["loaded_at"].endswith("Z") and (good["pending"], good["running"]) == (0, 0)
    assert bad["state"] == "failed" and "broken.lua:1" in bad["error"] and bad["handlers"] == []
    answer = host.console("GET", "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = answer.body.decode().splitlines()
    assert 'moonpost_deliveries_total{result="accepted"} 1' in lines
    assert 'moonpost_jobs{state="done"} 1' in lines
    assert 'moonpost_job_runs_total{outcome="done"} 1' in lines
    for line in lines:
        assert line.startswith(("# HELP moonpost_", "# TYPE moonpost_")) or line.rsplit(" ", 1)[1].isdigit(), line


# ---- what it does ------------------------------------------------------------
def test_what_failed_is_replayed(tmp_path):
    host = Host(tmp_path, "--retry-attempts", "1", wait=False)
    host.write("bad.lua", 'function on_issue() error("not yet") end')
    host.write("good.lua", 'function on_issue(event) log.info("good one", { attempt = event.attempt }) end')
    with host.start():
        delivery = host.deliver("issue", envelope(**issue())).json["id"]
        wait_for(host, delivery, bad="dead", good="done")
        assert host.api(f"deliveries/{delivery}")["state"] == "dead"
        host.write("bad.lua", 'function on_issue(event) log.info("works", { attempt = event.attempt }) end')
        host.log(msg="script loaded", script="bad", count=2)
        assert host.post(f"deliveries/{delivery}/replay") == {"replayed": ["bad"]}
        wait_for(host, delivery, bad="done", good="done")
        assert host.log(msg="works")["attempt"] == 1
        assert len(host.logged(msg="good one")) == 1
        assert host.post(f"deliveries/{delivery}/replay") == {"replayed": []}, "nothing has failed"
        assert host.post(f"deliveries/{delivery}/replay", {"scripts": ["good"]}) == {"replayed": ["good"]}
        host.log(msg="good one", count=2)
        wait_for(host, delivery, bad="done", good="done")
        assert sorted(host.post(f"deliveries/{delivery}/replay", {"all": True})["replayed"]) == ["bad", "good"]
        host.log(msg="good one", count=3)
        host.log(msg="works", count=2)
        wait_for(host, delivery, bad="done", good="done")
        assert host.post(f"deliveries/{delivery}/replay", {"scripts": ["nobody"]}) == {"replayed": []}


def test_what_a_person_does_is_in_the_log(tmp_path):
    host = Host(tmp_path, "--retry-attempts", "1", wait=False)
    host.write("a.lua", 'function on_issue() error("not yet") end')
    with host.start():
        ids = [host.deliver("issue", envelope(**issue(id=str(n)))).json["id"] for n in range(3)]
        for n in ids:
            wait_for(host, n, a="dead")
        host.post("scripts/a/pause")
        host.post(f"deliveries/{ids[0]}/replay")
        host.post("replay", {"state": "dead", "script": "a"})
        host.post("scripts/a/discard")
        host.post("scripts/a/resume")
        host.post("reload")
        nothing = host.post(f"deliveries/{ids[0]}/replay", {"scripts": ["b"]})
        assert nothing == {"replayed": []}
        # What was refused is not told as done.
        assert host.console("POST", "/api/scripts/b/pause", {}).status == 404
        assert host.console("POST", "/api/deliveries/77/replay", {}).status == 404
        told = [{k: v for k, v in line.items() if k != "time"} for line in host.lines if line["msg"] in (
            "script paused", "script resumed", "waiting jobs discarded", "delivery replayed", "deliveries replayed",
            "reload asked for")]
        assert told == [
            {"level": "info", "msg": "script paused", "script": "a", "integration": "default"},
            {"level": "info", "msg": "delivery replayed", "delivery": ids[0], "scripts": ["a"], "jobs": 1},
            {"level": "info", "msg": "deliveries replayed", "state": "dead", "script": "a", "jobs": 2},
            {"level": "info", "msg": "waiting jobs discarded", "script": "a", "integration": "default", "jobs": 3},
            {"level": "info", "msg": "script resumed", "script": "a", "integration": "default"},
            {"level": "info", "msg": "reload asked for"},
            {"level": "info", "msg": "delivery replayed", "delivery": ids[0], "scripts": [], "jobs": 0},
        ]


def test_many_are_replayed_by_state(tmp_path):
    host = Host(tmp_path, "--retry-attempts", "1", wait=False)
    for name in ("a", "b"):
        host.write(f"{name}.lua", 'function on_issue() error("not yet") end')
    with host.start():
        ids = [host.deliver("issue", envelope(**issue(id=str(n)))).json["id"] for n in range(6)]
        for n in ids:
            wait_for(host, n, a="dead", b="dead")
        for name in ("a", "b"):
            host.write(f"{name}.lua", "function on_issue() end")
            host.log(msg="script loaded", script=name, count=2)
        assert host.post("replay", {"state": "dead", "since": "2999-01-01T00:00:00Z"}) == {"count": 0}
        assert host.post("replay", {"state": "dead", "script": "a", "since": "1h"}) == {"count": 6}
        for n in ids:
            wait_for(host, n, a="done", b="dead")
        assert host.post("replay", {"state": "dead"}) == {"count": 6}
        for n in ids:
            wait_for(host, n, a="done", b="done")


def test_what_nobody_could_take_is_replayed(tmp_path):
    host = Host(tmp_path, wait=False)
    with host.start():
        invalid = [host.deliver("issue", envelope(**issue(level="loud"))).json["id"] for _ in range(3)]
        unhandled = [host.deliver("issue", envelope(**issue())).json["id"] for _ in range(3)]
        assert host.post(f"deliveries/{invalid[0]}/replay") == {"replayed": []}, "nobody wants it"
        assert host.post("replay", {"state": "unhandled"}) == {"count": 0}
        for name in ("a", "b"):
            host.write(f"{name}.lua", "function on_issue() end")
        assert sorted(host.post("reload")["loaded"]) == ["a", "b"], "from now on deliveries go there"
        assert sorted(host.post(f"deliveries/{invalid[0]}/replay")["replayed"]) == ["a", "b"]
        wait_for(host, invalid[0], a="done", b="done")
        assert host.post(f"deliveries/{unhandled[0]}/replay", {"scripts": ["b"]}) == {"replayed": ["b"]}
        wait_for(host, unhandled[0], b="done")
        assert host.post("replay", {"state": "invalid"}) == {"count": 4}
        assert host.post("replay", {"state": "unhandled", "script": "a"}) == {"count": 2}
        for n in invalid:
            wait_for(host, n, a="done", b="done")
        for n in unhandled[1:]:
            wait_for(host, n, a="done")


@pytest.mark.parametrize("path, body, word", [
    ("replay", {}, "name a state"), ("replay", {"state": "pending"}, "pending"), ("replay", {"state": "x"}, "'x'"),
    ("replay", {"state": 1}, "text"), ("replay", {"state": "dead", "since": "x"}, "since"),
    ("replay", {"state": "dead", "scripts": []}, "did you mean 'script'"),
    ("deliveries/1/replay", {"scripts": "a"}, "array"), ("deliveries/1/replay", {"scripts": [1]}, "array"),
    ("deliveries/1/replay", {"scripts": []}, "leave it out"), ("deliveries/1/replay", {"all": 1}, "true or false"),
    ("scripts/triage/pause", {"integration": 1}, "text"),
])
def test_a_wrong_body_is_told(host, path, body, word):
    answer = host.console("POST", f"/api/{path}", body)
    assert (answer.status, answer.json["error"]) == (400, "bad_request")
    assert word in answer.json["message"]


def test_replaying_nothing_is_told(host):
    answer = host.console("POST", "/api/deliveries/77/replay", {})
    assert (answer.status, answer.json["error"]) == (404, "not_found")


def test_reload_tells_what_it_found(host):
    path = os.path.join(host.scripts, "later.lua")
    with open(path, "w") as f:
        f.write("function on_issue() end")
    with open(os.path.join(host.scripts, "bad.lua"), "w") as f:
        f.write("function on_issue( end")
    answer = host.post("reload")
    assert sorted(answer["loaded"]) == ["later", "triage"]
    failed, = answer["failed"]
    assert failed["name"] == "bad" and "bad.lua:1" in failed["error"]
    os.unlink(os.path.join(host.scripts, "bad.lua"))
    with open(path, "w") as f:
        f.write("function on_issue( end")
    answer = host.post("reload")
    assert answer["loaded"] == ["triage"] and [f["name"] for f in answer["failed"]] == ["later"]


def test_a_script_is_paused_resumed_and_its_backlog_discarded(host):
    assert host.post("scripts/triage/pause") == {"script": "triage", "integration": "default", "paused": True}
    ids = [host.deliver("issue", envelope(**issue(id=str(n)))).json["id"] for n in range(4)]
    script, = host.api("scripts")["scripts"]
    assert script["paused"] is True and script["pending"] == 4
    host.stop()
    host.start()
    script, = host.api("scripts")["scripts"]
    assert script["paused"] is True and script["pending"] == 4, "also after a restart"
    assert host.post("scripts/triage/discard") == {"script": "triage", "integration": "default", "count": 4}
    for n in ids:
        assert states(host, n) == {"triage": "dropped"}
    later = host.deliver("issue", envelope(**issue())).json["id"]
    assert states(host, later) == {"triage": "pending"}
    assert host.post("scripts/triage/resume", {"integration": "default"})["paused"] is False
    wait_for(host, later, triage="done")
    assert host.post("replay", {"state": "dropped"}) == {"count": 4}
    for n in ids:
        wait_for(host, n, triage="done")
    for verb in ("pause", "resume", "discard"):
        answer = host.console("POST", f"/api/scripts/nobody/{verb}", {})
        assert (answer.status, answer.json["error"]) == (404, "not_found"), verb


# ---- as it happens -------------------------------------------------------------
def test_events_tell_what_happens(host):
    follower = Follower(host)
    delivery = host.deliver("issue", envelope(**issue(level="fatal"))).json["id"]
    _, _, d = follower.wait("delivery", id=delivery)
    shown = host.api("deliveries")["deliveries"][0]
    assert set(d) == set(shown)
    assert {k: v for k, v in d.items() if k not in ("jobs", "state")} == \
           {k: v for k, v in shown.items() if k not in ("jobs", "state")}
    assert d["state"] == "pending" and d["jobs"][0]["script"] == "triage"
    _, _, job = follower.wait("job", delivery=delivery, state="running")
    assert (job["script"], job["handler"], job["attempts"]) == ("triage", "on_issue", 0)
    last, _, job = follower.wait("job", delivery=delivery, state="retrying")
    assert job["attempts"] == 1 and job["next_at"] and "cannot do fatal" in job["error"]
    invalid = host.deliver("issue", envelope(**issue(level="loud"))).json["id"]
    assert follower.wait("delivery", id=invalid)[2]["state"] == "invalid"
    host.write("new.lua", "function on_comment() end")
    _, _, script = follower.wait("script", name="new", state="loaded")
    assert script["handlers"] == ["on_comment"] and script["pending"] == 0
    host.post("scripts/new/pause")
    follower.wait("script", name="new", paused=True)
    follower.close()

    # Away for a while: what was missed comes first.
    missed = host.deliver("issue", envelope(**issue())).json["id"]
    wait_for(host, missed, triage="done")
    again = Follower(host, last)
    again.wait("delivery", id=missed)
    again.wait("job", delivery=missed, state="done")
    assert "reset" not in [name for _, name, _ in again.seen]
    assert int(again.seen[0][0]) == int(last) + 1
    again.close()

    # Away for too long, or from another life: read the lists again.
    for old in ("1", str(int(last) + 10**15)):
        other = Follower(host, old)
        assert other.events.get(timeout=PATIENCE_S)[1] == "reset"
        other.wait("delivery", id=missed)
        other.close()
    assert host.console("GET", "/api/events", headers={"Last-Event-ID": "x"}).status == 400


def test_who_does_not_read_is_cut_off(host):
    """A follower that never reads does not hold the others up, nor the host's memory."""
    with socket.create_connection(("127.0.0.1", host.console_port)) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.sendall(f"GET /api/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {host.token}\r\n\r\n"
                     .encode())
        follower = Follower(host)
        for n in range(50):
            delivery = host.deliver("issue", envelope(**issue(id=str(n)))).json["id"]
        follower.wait("job", delivery=delivery, state="done")
        follower.close()
    assert host.api("scripts")["scripts"][0]["state"] == "loaded"


def test_it_stops_with_followers(host):
    follower = Follower(host)
    started = time.monotonic()
    assert host.stop() == 0
    assert time.monotonic() - started < 10
    while follower.events.get(timeout=PATIENCE_S) is not None:
        pass
