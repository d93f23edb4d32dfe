"""What moonpost sim is told over /sim/, and what it makes of bad input on every route."""

import json
import os
import random
import subprocess
import time

import pytest

from host import MOONPOST
from sim import CLIENT_ID, Sim

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
CONTROLS = ("install", "expire", "device", "deny", "fail", "drop", "emit", "ui", "issues")


@pytest.fixture(scope="module")
def sim():
    with Sim() as running:
        yield running


def misuse(sim, what, body):
    answer = sim.request("POST", f"/sim/{what}", json.dumps(body))
    assert answer.status == 400 and answer.json["error"] == "bad_request", answer
    return answer.json["message"]


@pytest.mark.parametrize("what", CONTROLS)
def test_bodies_that_are_none(sim, what):
    for body in ("{", "[]", "7", "null", "\"x\"", "a=b", "{\"count\":}", "\x00", "{\"a\":1}garbage"):
        answer = sim.request("POST", f"/sim/{what}", body)
        assert answer.status == 400 and answer.json["message"], (body, answer)
    assert "unknown member 'nothing'" in misuse(sim, what, {"nothing": 1})
    answer = sim.request("GET", f"/sim/{what}")
    assert answer.status == 405 and answer.headers["Allow"] == "POST"


@pytest.mark.parametrize("what,body,said", [
    ("install", {"org": "A B"}, "slug"),
    ("install", {"org": 7}, "org must be text"),
    ("install", {"url": "ftp://h"}, "url must be"),
    ("install", {"setup": "h/setup"}, "setup must be"),
    ("install", {"published": "yes"}, "published must be true or false"),
    ("install", {"ulr": "http://h"}, "did you mean 'url'"),
    ("expire", {"installation": "00000000-0000-4000-8000-000000000000"}, "no installation '00000000"),
    ("expire", {"what": "all"}, "token, code or users"),
    ("device", {}, "user_code is missing"),
    ("device", {"user_code": "X", "action": "bless"}, "approve, deny"),
    ("device", {"user_code": "XXXX-XXXX", "action": "deny"}, "no device waits"),
    ("deny", {"count": -1}, "whole number"),
    ("fail", {"count": 1.5}, "whole number"),
    ("fail", {"status": 99}, "200 to 599"),
    ("fail", {"status": 600}, "599"),
    ("drop", {"count": "1"}, "whole number"),
    ("drop", {"path": ""}, "path must be text"),
    ("emit", {"url": "http://h"}, "event is missing"),
    ("emit", {"event": "isue.created", "url": "http://h"}, "issue"),
    ("emit", {"event": "issue.created", "url": "http://h", "set": []}, "object of paths"),
    ("emit", {"event": "issue.created", "url": "http://h", "set": {"action.x.y": 1}}, "action.x.y"),
    ("emit", {"event": "issue.created", "url": "http://h", "set": {"": 1}}, "set"),
    ("ui", {}, "component must be"),
    ("ui", {"component": "options/"}, "component must be"),
    ("ui", {"component": "options/a b"}, "component must be"),
    ("ui", {"component": "alert-rule-action", "settings": [1], "url": "http://h"}, "settings must be"),
    ("ui", {"component": "alert-rule-action", "uri": "x", "url": "http://h"}, "uri must be"),
    ("ui", {"component": "alert-rule-action", "uri": "/@h/", "url": "http://h"}, "uri must be"),
    ("issues", {"count": 100000}, "1000"),
])
def test_what_is_said_of_wrong_members(sim, what, body, said):
    assert said in misuse(sim, what, body)


def test_nothing_is_installed_yet():
    with Sim() as sim:
        assert "/sim/install" in misuse(sim, "expire", {})
        assert "/sim/install" in misuse(sim, "ui", {"component": "alert-rule-action", "url": "http://h"})
        sim.control("install")
        assert "url is missing" in misuse(sim, "emit", {"event": "issue.created"})
        assert "url is missing" in misuse(sim, "ui", {"component": "alert-rule-action"})


def test_no_page_of_the_web_and_no_other_name(sim):
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}, {"Host": "127.0.0.1.evil.example:80"}):
        for method, path in (("POST", "/sim/install"), ("GET", "/sim/calls"), ("GET", "/")):
            answer = sim.request(method, path, None, headers)
            assert answer.status == 400 and "/sim/ is for programs" in answer.json["message"], (headers, answer)
    for host in (f"localhost:{sim.port}", f"127.0.0.1:{sim.port}", f"[::1]:{sim.port}"):
        assert sim.request("GET", "/sim/calls", None, {"Host": host}).status == 200


def test_the_routes_are_listed(sim):
    page = sim.request("GET", "/")
    assert page.status == 200 and page.headers["Content-Type"].startswith("text/plain")
    text = page.body.decode()
    for what in CONTROLS:
        assert f"POST   {sim.url}/sim/{what}\n" in text
    assert sim.request("GET", "/sim/nothing").status == 400
    # What it says it has, its documentation has.
    docs = open(os.path.join(os.path.dirname(__file__), "..", "..", "docs", "sim.md")).read()
    assert all(f"`/sim/{what}`" in docs for what in CONTROLS)


def test_install_tells_the_redirect(sim):
    made = sim.control("install", org="acme", setup="http://127.0.0.1:8080/setup?x=1")
    assert made["redirect"] == f"http://127.0.0.1:8080/setup?x=1&code={made['code']}&installationId={made['installation']}&orgSlug=acme"


def test_codes_and_users_tokens_expire(sim):
    made = sim.control("install")
    sim.control("expire", installation=made["installation"], what="code")
    answer = sim.exchange(made)
    assert (answer.status, answer.json) == (401, {"detail": "Grant has already expired"})
    other = sim.control("install")
    answer = sim.exchange({"installation": made["installation"], "code": other["code"]})
    assert (answer.status, answer.json) == (401, {"detail": "Forbidden grant"})
    device = sim.form("/oauth/device/code/", client_id=CLIENT_ID).json
    sim.control("device", user_code=device["user_code"], action="approve")
    token = sim.token(grant_type="urn:ietf:params:oauth:grant-type:device_code", client_id=CLIENT_ID,
                      device_code=device["device_code"]).json["access_token"]
    assert sim.api("GET", "/organizations/", token=token).status == 200
    sim.control("expire", what="users")
    answer = sim.api("GET", "/organizations/", token=token)
    assert (answer.status, answer.json) == (401, {"detail": "Token expired"})


def test_an_answer_is_lost_after_it_was_done(sim):
    made = sim.control("install")
    sim.control("drop", count=1, path="/authorizations/")
    assert sim.api("GET", "/organizations/").status == 401   # Not on that path.
    with pytest.raises(Exception, match="without response|reset"):
        sim.exchange(made)
    answer = sim.exchange(made)
    assert (answer.status, answer.json) == (401, {"detail": "Could not find grant for given code"})
    lost = [call for call in sim.calls(lost=True) if made["installation"] in call["path"]]
    assert len(lost) == 1 and lost[0]["status"] == 201


def test_calls_that_fail_do_nothing(sim):
    made = sim.control("install")
    sim.control("fail", count=2, status=500)
    assert [sim.exchange(made).status for _ in range(3)] == [500, 500, 201]
    sim.control("fail", count=5)
    sim.control("fail", count=0)
    assert sim.api("GET", "/organizations/").status == 401


def test_calls_are_listed_and_forgotten():
    with Sim() as sim:
        for _ in range(3):
            sim.api("GET", "/organizations/")
        calls = sim.calls()
        assert [call["n"] for call in calls] == [1, 2, 3]
        assert list(calls[0]) == ["n", "direction", "at", "method", "path", "query", "headers", "body", "status", "answer", "lost"]
        assert [call["n"] for call in sim.request("GET", "/sim/calls?after=2").json["calls"]] == [3]
        assert sim.request("GET", "/sim/calls?after=x").status == 400
        assert sim.request("DELETE", "/sim/calls").status == 200
        assert sim.calls() == []
        sim.api("GET", "/organizations/")
        assert [call["n"] for call in sim.calls()] == [4]


def test_the_limit_is_kept():
    with Sim() as sim:
        begin = time.monotonic()
        answers = [sim.api("GET", "/organizations/") for _ in range(1000)]
        limited = [answer for answer in answers if answer.status == 429]
        # A thousand in three windows of a second are too many; in more they need not be.
        assert limited or time.monotonic() - begin > 2
        for answer in limited[:1]:
            assert "Limit is 320 requests" in answer.json["detail"]
            assert answer.headers["X-Sentry-Rate-Limit-Remaining"] == "0"
        assert {answer.status for answer in answers} <= {401, 429}
        # Each address has its own.
        assert sim.api("GET", "/organizations/example/").status == 401


PATHS = [
    ("POST", "/api/0/sentry-app-installations/{uuid}/authorizations/"),
    ("PUT", "/api/0/sentry-app-installations/{uuid}/"),
    ("POST", "/api/0/sentry-app-installations/{uuid}/external-issues/"),
    ("DELETE", "/api/0/sentry-app-installations/{uuid}/external-issues/9999999999999999999999/"),
    ("PUT", "/api/0/organizations/example/issues/1/"),
    ("POST", "/api/0/organizations/example/issues/1/notes/"),
    ("GET", "/api/0/organizations/example/issues/?cursor=%00"),
    ("GET", "/api/0/organizations/example/issues/?per_page=0"),
    ("GET", "/api/0/organizations/example/issues/?cursor=0:99999999999999999999:0"),
    ("GET", "/api/0/organizations/example/issues/18446744073709551616/"),
    ("POST", "/oauth/token/"),
    ("POST", "/oauth/device/code/"),
    ("POST", "/oauth/device/"),
    ("GET", "/oauth/authorize/?client_id=%zz"),
    ("GET", "/oauth/authorize/?redirect_uri=http%3A%2F%2Fh%0d%0aX%3A%20y&client_id=" + CLIENT_ID),
    *(("POST", f"/sim/{what}") for what in CONTROLS),
]
BODIES = [
    b"", b"{}", b"[]", b"null", b"{", b"\xff\xfe", b"\0", b"[" * 600, b"{\"grant_type\":null}", b"{\"grant_type\":[]}",
    b"{\"grant_type\":\"authorization_code\",\"code\":\"\\u0000\",\"client_id\":1}", b"grant_type", b"grant_type=%", b"grant_type=%zz&client_id",
    b"grant_type=refresh_token&refresh_token=%00", b"&&&===", b"a" * 100000, b"{\"" + b"k" * 5000 + b"\":1}",
    b"{\"issueId\":-1,\"webUrl\":\"u\",\"project\":\"p\",\"identifier\":\"i\"}", b"{\"issueId\":0,\"webUrl\":\"u\",\"project\":\"p\",\"identifier\":\"i\"}",
    b"{\"text\":\"\\ud800\"}", b"{\"text\":\"\\u0000\"}", b"{\"status\":{\"a\":1},\"assignedTo\":\"user:\",\"statusDetails\":1}",
    b"{\"assignedTo\":\"team:99999999999999999999\"}", b"{\"assignedTo\":\"u\"}", b"{\"priority\":[\"low\"]}",
    b"{\"event\":\"issue\",\"url\":\"http://\"}", b"{\"event\":\".\",\"url\":\"http://127.0.0.1:1\"}",
    b"{\"component\":\"alert-rule-action\",\"url\":\"http://\"}", b"{\"component\":\"options/../x\",\"url\":\"http://127.0.0.1:1?\"}",
]


@pytest.mark.parametrize("method,path", PATHS, ids=lambda v: v if isinstance(v, str) and v.startswith("/") else "")
def test_bad_input_gets_an_answer(sim, method, path):
    """Whatever comes, there is an answer of JSON or a page, and it goes on."""
    made = sim.control("install")
    token = sim.exchange(made).json["token"]
    path = path.format(uuid=made["installation"])
    if method in ("GET", "DELETE"):
        bodies = [None]
    else:
        bodies = BODIES + mutations(path, 60)
    for n, body in enumerate(bodies):
        headers = dict((JSON, FORM, {}, {"Content-Type": "\u00e9".encode("latin-1").decode("latin-1")})[n % 4 if n > 30 else n % 2])
        headers["Authorization"] = f"Bearer {token}" if n % 3 else "Basic ???"
        answer = sim.request(method, path, body, headers)
        assert 200 <= answer.status < 500, (body, answer)
        if answer.body and not answer.headers["Content-Type"].startswith("text/html"):
            json.loads(answer.body)
    assert sim.process.poll() is None
    # What it remembers of it is JSON as well.
    assert sim.calls() is not None
    sim.control("fail", count=0)
    sim.control("drop", count=0)
    sim.control("deny", count=0)


def mutations(seed, count):
    """Good bodies with bytes changed, left out and doubled; the same ones every time."""
    chance = random.Random(seed)
    good = [b'{"grant_type":"authorization_code","code":"x","client_id":"' + CLIENT_ID.encode() + b'","client_secret":"y"}',
            b"grant_type=refresh_token&refresh_token=x&client_id=" + CLIENT_ID.encode(),
            b'{"status":"resolved","assignedTo":"team:1","hasSeen":true}', b'{"count":1,"path":"/none/","status":400,"body":{"a":[1]}}',
            b'{"user_code":"AAAA-AAAA","action":"deny"}', b'{"org":"a","setup":"http://h/s"}']
    made = []
    for _ in range(count):
        body = bytearray(chance.choice(good))
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(body))
            how = chance.randrange(3)
            if how == 0:
                body[at] = chance.randrange(256)
            elif how == 1:
                del body[at:at + chance.randint(1, 8)]
            else:
                body[at:at] = body[at:at + chance.randint(1, 8)]
            if not body:
                break
        made.append(bytes(body))
    return made


# ---- the command ---------------------------------------------------------

def run(*args, env=None):
    full = {k: v for k, v in os.environ.items() if not k.startswith(("MOONPOST_", "SENTRY_"))}
    full.update(env or {})
    return subprocess.run([MOONPOST, "sim", *args], capture_output=True, text=True, timeout=30, env=full, cwd="/")


def test_wrong_usage():
    for args in (("--listen", "nowhere"), ("--time-scale", "0"), ("--time-scale", "fast"), ("extra",), ("--published",)):
        done = run(*args)
        assert done.returncode == 2 and done.stderr.startswith("moonpost: "), (args, done)


def test_the_port_is_taken(sim):
    done = run("--listen", f"127.0.0.1:{sim.port}")
    assert done.returncode == 3 and str(sim.port) in done.stderr


def test_it_says_what_to_try():
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MOONPOST_", "SENTRY_"))}
    for secret in (None, "a-real-secret"):
        if secret:
            env["SENTRY_CLIENT_SECRET"] = secret
        process = subprocess.Popen([MOONPOST, "sim", "--listen", "127.0.0.1:0"], env=env, cwd="/", text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        lines = []
        while not lines or "Ctrl-C" not in lines[-1]:
            lines.append(process.stdout.readline())
            assert lines[-1]
        process.terminate()
        out, err = process.communicate(timeout=30)
        said = "".join(lines) + out
        assert process.returncode == 0 and "listening" in err
        assert "export SENTRY_URL=http://127.0.0.1:" in said and "export SENTRY_CLIENT_ID=moonpost-sim\n" in said
        assert ("export SENTRY_CLIENT_SECRET=moonpost-sim-secret" in said) == (secret is None)
        assert "a-real-secret" not in said + err
