"""OAuth for handlers: flows in a browser, refresh, devices; against moonpost sim and a server of our own."""

import base64
import json
import time
import urllib.parse

import pytest

from host import Host
from peer import Peer
from sim import CLIENT_ID, CLIENT_SECRET, Sim

EVENT = {"action": "created", "data": {}, "actor": {"type": "application", "id": "sentry", "name": "Sentry"}, "installation": {"uuid": "x"}}


@pytest.fixture
def sim():
    with Sim() as s:
        yield s


def host_of(folder, url, script, *options, env=None):
    host = Host(folder, "--validation", "off", *options, wait=False, env={"SENTRY_URL": url, "APP_SECRET": CLIENT_SECRET, **(env or {})})
    host.write("a.lua", script)
    return host.start()


def visit(host, location):
    """What the browser does with a redirect to us."""
    parts = urllib.parse.urlsplit(location)
    return host.request("GET", f"{parts.path}?{parts.query}")


class Chat(Peer):
    """Where a script posts the address, as to a person."""

    def said(self, count=1):
        return self.received(count)[-1].json["url"]


ASK = """
function on_issue(event)
  local url, message = oauth.authorize_url { client_id = "%s", redirect_uri = "http://127.0.0.1/oauth/callback",
    scope = { "org:read", "event:read" }, name = "linked", data = { user = 7 } }
  if not url then error(message) end
  http.post(secret "CHAT_URL", { json = { url = url } })
end
function on_oauth(event)
  local token, message, code = oauth.exchange(event, { client_secret = secret "APP_SECRET" })
  log.info("ended", { action = event.action, user = event.data.data.user, channel = event.channel, message = message, code = code,
    scope = token and token.scope, type = token and token.token_type, lives = token and token.expires_at > os.time() })
  if token then kv.set("refresh", token.refresh_token) end
end
function on_comment(event)
  local options = { client_id = "%s", client_secret = secret "APP_SECRET", refresh_token = kv.get("refresh"), auth = "basic" }
  local token = assert(oauth.refresh(options))
  local again, message, code = oauth.refresh(options)
  log.info("refreshed", { new = token.refresh_token ~= options.refresh_token, code = code })
end
""" % (CLIENT_ID, CLIENT_ID)


def test_a_flow_ends_in_on_oauth(tmp_path, sim):
    with Chat() as chat, host_of(tmp_path, sim.url, ASK, "--allow-host", "127.0.0.1", env={"CHAT_URL": chat.url}) as host:
        host.deliver("issue", EVENT)
        url = urllib.parse.urlsplit(chat.said())
        query = dict(urllib.parse.parse_qsl(url.query))
        assert f"{url.scheme}://{url.netloc}{url.path}" == sim.url + "/oauth/authorize/"
        assert query["code_challenge_method"] == "S256" and len(query["code_challenge"]) == 43
        assert query["scope"] == "org:read event:read" and query["response_type"] == "code" and len(query["state"]) == 43
        sent = sim.request("GET", f"{url.path}?{url.query}")
        assert sent.status == 302
        answer = visit(host, sent.headers["Location"])
        assert answer.status == 200 and answer.headers["Content-Type"] == "text/html; charset=utf-8"
        line = host.log(msg="ended")
        assert (line["action"], line["user"], line["channel"], line["scope"], line["type"], line["lives"]) == (
            "linked", 7, "oauth", "org:read event:read", "Bearer", True)

        # The state works once.
        again = visit(host, sent.headers["Location"])
        assert again.status == 400
        host.log(msg="authorization refused")
        assert len(host.logged(msg="ended")) == 1

        # Refreshed once; the old token is spent.
        host.deliver("comment", EVENT)
        line = host.log(msg="refreshed")
        assert line["new"] is True and line["code"] == "invalid_grant"

        # Neither state, code nor verifier is anywhere to be read.
        code = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(sent.headers["Location"]).query))["code"]
        said = json.dumps(host.lines)
        for d in host.api("deliveries", limit=100)["deliveries"]:
            said += json.dumps(host.api(f"deliveries/{d['id']}"))
        for secret in (query["state"], code, CLIENT_SECRET):
            assert secret not in said
        assert '"flow"' in said


def test_a_refusal_is_a_page_and_a_line(tmp_path, sim):
    with Chat() as chat, host_of(tmp_path, sim.url, ASK, "--allow-host", "127.0.0.1", env={"CHAT_URL": chat.url}) as host:
        sim.control("deny")
        host.deliver("issue", EVENT)
        url = urllib.parse.urlsplit(chat.said())
        sent = sim.request("GET", f"{url.path}?{url.query}")
        answer = visit(host, sent.headers["Location"])
        assert answer.status == 400 and b"access_denied" in answer.body
        assert host.log(msg="authorization refused")["error"] == "access_denied"
        for query in ("", "?state=x", "?code=x", "?state=unknown&code=x", "?state=unknown&error=%3Cscript%3E"):
            answer = host.request("GET", "/oauth/callback" + query)
            assert answer.status == 400 and b"<script>" not in answer.body, query
        assert host.logged(msg="ended") == []
        assert host.request("POST", "/oauth/callback").status == 405


def test_a_flow_survives_a_restart_and_belongs_to_its_script(tmp_path, sim):
    other = "function on_oauth(event) local t, m, c = oauth.exchange(event) log.info('other', {code = c}) end"
    with Chat() as chat:
        host = host_of(tmp_path, sim.url, ASK, "--allow-host", "127.0.0.1", env={"CHAT_URL": chat.url})
        host.write("b.lua", other)
        host.log(msg="script loaded", script="b")
        host.deliver("issue", EVENT)
        url = urllib.parse.urlsplit(chat.said())
        host.kill()
        with host.start():
            sent = sim.request("GET", f"{url.path}?{url.query}")
            assert visit(host, sent.headers["Location"]).status == 200
            host.log(msg="ended")
            assert host.logged(msg="other") == []


def test_wrong_use_is_told(tmp_path, sim):
    script = """
function on_issue(event)
  local function why(f, ...) return select(2, pcall(f, ...)) end
  log.info("told", { a = why(oauth.authorize_url, { client_id = "x", redirect_uri = "y" }),
    b = why(oauth.refresh, { refresh_token = "x" }), c = why(oauth.exchange, { cod = "x" }),
    d = why(oauth.pkce, "short"), e = why(oauth.device_start, {}) })
end"""
    with host_of(tmp_path, sim.url, script) as host:
        host.deliver("issue", EVENT)
        line = host.log(msg="told")
        assert "has no on_oauth(event)" in line["a"]
        assert "'client_id' is missing" in line["b"]
        assert "unknown option 'cod'" in line["c"]
        assert "43 to 128" in line["d"]
        assert "'client_id' is missing" in line["e"]


def test_pkce_is_that_of_rfc_7636(tmp_path, sim):
    script = """
function on_issue(event)
  local a, b = oauth.pkce("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"), oauth.pkce()
  log.info("pkce", { challenge = a.challenge, method = a.method, len = #b.verifier, again = oauth.pkce(b.verifier).challenge == b.challenge })
end"""
    with host_of(tmp_path, sim.url, script) as host:
        host.deliver("issue", EVENT)
        line = host.log(msg="pkce")
        assert line["challenge"] == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        assert (line["method"], line["len"], line["again"]) == ("S256", 43, True)


# ---- a server of our own -----------------------------------------------------------

class Server(Peer):
    """An OAuth server that answers what it is told, and keeps the forms."""

    def __init__(self, *answers):
        super().__init__(self.serve)
        self.answers = list(answers)
        self.forms = []
        self.times = []

    def serve(self, request):
        self.times.append(time.monotonic())
        self.forms.append(dict(urllib.parse.parse_qsl(request.body.decode(), keep_blank_values=True)))
        return self.answers.pop(0)


def run(folder, server, lua, **env):
    script = "function on_issue(event) local URL = secret 'URL' %s end" % lua
    return host_of(folder, "https://sentry.invalid", script, "--allow-host", "127.0.0.1", env={"URL": server.url, **env})


def test_credentials_go_into_the_body_or_basic_or_nowhere(tmp_path):
    good = (200, {"access_token": "t", "token_type": "Bearer", "expires_in": 60, "refresh_token": None})
    with Server(good, good, good) as server:
        lua = """
          local o = { token_url = URL .. "/token", code = "c", code_verifier = "v", redirect_uri = "r", client_id = "i:d" }
          local t = assert(oauth.exchange(o)) assert(t.refresh_token == nil)
          o.client_secret = "s s" assert(oauth.exchange(o))
          o.auth = "basic" assert(oauth.exchange(o))
          log.info("done")"""
        with run(tmp_path, server, lua) as host:
            host.deliver("issue", EVENT)
            host.log(msg="done")
        base = {"grant_type": "authorization_code", "code": "c", "code_verifier": "v", "redirect_uri": "r"}
        assert server.forms == [{**base, "client_id": "i:d"}, {**base, "client_id": "i:d", "client_secret": "s s"}, base]
        basic = server.requests[2].headers["Authorization"]
        assert basic == "Basic " + base64.b64encode(b"i%3Ad:s%20s").decode()
        assert all(r.headers["Content-Type"] == "application/x-www-form-urlencoded" for r in server.requests)


def test_a_device_is_polled_as_rfc_8628_says(tmp_path):
    wait, slow = (400, {"error": "authorization_pending"}), (400, {"error": "slow_down"})
    good = (200, {"access_token": "t", "expires_in": None, "token_type": "Bearer"})
    device = (200, {"device_code": "dc_secret", "user_code": "WDJB-MJHT", "verification_uri": "https://sentry.io/oauth/device/",
                    "verification_uri_complete": "https://sentry.io/oauth/device/?user_code=WDJB-MJHT", "expires_in": 600, "interval": 1})
    with Server(device, wait, slow, good) as server:
        lua = """
          local d = assert(oauth.device_start { client_id = "id", scope = "org:read", device_url = URL .. "/device" })
          local t = assert(oauth.device_poll { client_id = "id", device_code = d.device_code, interval = d.interval,
            expires_at = d.expires_at, token_url = URL .. "/token" })
          log.info("done", { code = d.user_code, token = t.access_token })"""
        with run(tmp_path, server, lua) as host:
            host.deliver("issue", EVENT)
            line = host.log(msg="done")
        assert (line["code"], line["token"]) == ("WDJB-MJHT", "t")
        assert server.forms[0] == {"client_id": "id", "scope": "org:read"}
        poll = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": "dc_secret", "client_id": "id"}
        assert server.forms[1:] == [poll] * 3
        pauses = [b - a for a, b in zip(server.times, server.times[1:])]
        assert pauses[0] >= 1 and pauses[1] >= 1 and pauses[2] >= 6


@pytest.mark.parametrize("answer,code", [("access_denied", "access_denied"), ("expired_token", "expired_token"), ("invalid_grant", "invalid_grant")])
def test_a_device_that_is_refused_is_a_code(tmp_path, answer, code):
    with Server((400, {"error": answer, "error_description": "because"})) as server:
        lua = """
          local t, m, c = oauth.device_poll { client_id = "id", device_code = "d", interval = 0.01, token_url = URL }
          log.info("done", { code = c, message = m })"""
        with run(tmp_path, server, lua) as host:
            host.deliver("issue", EVENT)
            line = host.log(msg="done")
            assert line["code"] == code and "because" in line["message"]


def test_a_device_that_nobody_sees_to_ends(tmp_path):
    with Server() as server:
        lua = """
          local o = { client_id = "id", device_code = "d", interval = 5, token_url = URL }
          local _, _, late = oauth.device_poll(o)
          o.expires_at = os.time() - 1
          local _, _, old = oauth.device_poll(o)
          log.info("done", { late = late, old = old })"""
        script_options = ("--handler-timeout", "4s")
        host = host_of(tmp_path, "https://sentry.invalid", "function on_issue(event) local URL = secret 'URL' %s end" % lua,
                       "--allow-host", "127.0.0.1", *script_options, env={"URL": server.url})
        with host:
            host.deliver("issue", EVENT)
            line = host.log(msg="done")
            assert (line["late"], line["old"]) == ("authorization_pending", "expired_token")
        assert server.forms == []


def test_a_device_of_sentry(tmp_path, sim):
    script = """
function on_issue(event)
  local d = assert(oauth.device_start { client_id = "%s", client_secret = secret "APP_SECRET" })
  http.post(secret "CHAT_URL", { json = { url = d.user_code } })
  local t, m, c = oauth.device_poll { client_id = "%s", client_secret = secret "APP_SECRET", device_code = d.device_code,
    interval = 0.2, expires_at = d.expires_at }
  log.info("done", { ok = t ~= nil, code = c, message = m })
end""" % (CLIENT_ID, CLIENT_ID)
    with Chat() as chat, host_of(tmp_path, sim.url, script, "--allow-host", "127.0.0.1", env={"CHAT_URL": chat.url}) as host:
        host.deliver("issue", EVENT)
        sim.control("device", user_code=chat.said(), action="approve")
        line = host.log(msg="done")
        assert line["ok"] is True, line
        host.deliver("issue", EVENT)
        sim.control("device", user_code=chat.said(2), action="deny")
        assert host.log(msg="done", count=2)["code"] == "access_denied"


def test_garbage_is_no_token(tmp_path):
    with Server((200, "<html>"), (200, {"nothing": 1}), (500, {"detail": "oops"})) as server:
        lua = """
          local o = { client_id = "id", refresh_token = "r", token_url = URL }
          local codes = {}
          for i = 1, 3 do local _, m, c = oauth.refresh(o) codes[i] = c .. " " .. m end
          log.info("done", { codes = codes })"""
        with run(tmp_path, server, lua) as host:
            host.deliver("issue", EVENT)
            codes = host.log(msg="done")["codes"]
            assert codes[0].startswith("invalid the server answered 200") and "no access_token" in codes[1] and "oops" in codes[2]
