"""moonpost login, token and logout, against moonpost sim."""

import concurrent.futures
import hashlib
import http.client
import json
import os
import pty
import re
import signal
import socket
import stat
import subprocess
import time
import urllib.parse

import pytest

from host import MOONPOST, PATIENCE_S, eventually
from sim import CLIENT_ID, Sim

# A second between two polls, not five.
SCALE = 5


@pytest.fixture
def sim():
    with Sim(scale=SCALE) as running:
        yield running


class User:
    """A person who runs moonpost in a folder."""

    def __init__(self, folder, sim, **env):
        self.folder = str(folder)
        self.data = os.path.join(self.folder, "data")
        self.env = {k: v for k, v in os.environ.items()
                    if not k.startswith(("MOONPOST_", "SENTRY_")) and k not in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")}
        self.env.update(SENTRY_CLIENT_ID=CLIENT_ID, SENTRY_URL=sim.url)
        self.env.update(env)

    def start(self, *args, **kw):
        return subprocess.Popen([MOONPOST, *args], cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kw)

    def run(self, *args):
        return self.finish(self.start(*args))

    def begin(self, *args):
        """Start a login and read what it wants to be done."""
        process = self.start("login", "--json", *args)
        return process, json.loads(process.stdout.readline())

    def finish(self, process):
        try:
            out, err = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()   # Nothing stays behind where a test has failed.
        return process.returncode, out, err

    def log_in(self, sim):
        process, asked = self.begin()
        sim.control("device", user_code=asked["user_code"], action="approve")
        code, out, err = self.finish(process)
        assert code == 0, (out, err)
        return json.loads(out)

    def token(self):
        code, out, err = self.run("token")
        assert code == 0, (out, err)
        return out.strip()


def polls(sim):
    return [call["answer"].get("error", "good") for call in sim.calls(path="/oauth/token/")]


def test_a_device_is_confirmed(tmp_path, sim):
    user = User(tmp_path, sim)
    process, asked = user.begin()
    assert asked["verification_uri"] == f"{sim.url}/oauth/device/"
    assert asked["verification_uri_complete"] == f"{sim.url}/oauth/device/?user_code={asked['user_code']}"
    eventually(lambda: polls(sim), "a poll")
    sim.control("device", user_code=asked["user_code"], action="approve")
    code, out, err = user.finish(process)
    assert (code, err) == (0, "")
    assert json.loads(out)["user"] == "Ada <ada@example.com>"
    assert polls(sim)[0] == "authorization_pending" and polls(sim)[-1] == "good"
    first = sim.calls(path="/oauth/device/code/")[0]
    assert first["headers"]["Content-Type"] == "application/x-www-form-urlencoded"
    assert first["body"] == {"client_id": CLIENT_ID, "scope": "org:read project:read team:read member:read event:read event:write"}
    # The token is good, and nothing but `token` has it.
    token = user.token()
    assert re.fullmatch("[0-9a-f]{64}", token)
    assert sim.api("GET", "/organizations/", token=token).status == 200
    assert token not in out
    for name in ("login", "key"):
        path = os.path.join(user.data, name)
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert token.encode() not in open(path, "rb").read()
    assert stat.S_IMODE(os.stat(user.data).st_mode) == 0o700


def test_plain_lines_without_a_terminal(tmp_path, sim):
    user = User(tmp_path, sim, LANG="C.UTF-8")
    process = user.start("login")
    lines = [process.stdout.readline() for _ in range(6)]
    code = lines[3].strip()
    assert lines[0] == f"Open {sim.url}/oauth/device/\n"
    sim.control("device", user_code=code, action="approve")
    status, out, err = user.finish(process)
    assert (status, err) == (0, "")
    said = "".join(lines) + out
    assert "Logged in as Ada <ada@example.com>." in said
    assert "\033" not in said and "\r" not in said and not re.search("[\u2580\u2584\u2588]", said)


def test_a_terminal_shows_a_code_to_scan_and_the_time_left(tmp_path, sim):
    user = User(tmp_path, sim, LANG="C.UTF-8", TERM="xterm")
    user.env.pop("NO_COLOR", None)
    master, slave = pty.openpty()
    process = subprocess.Popen([MOONPOST, "login"], cwd=user.folder, env=user.env, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    seen = b""
    while b"left" not in seen:
        seen += os.read(master, 65536)
    code = re.search("[A-Z]{4}-[A-Z]{4}", seen.decode()).group()
    sim.control("device", user_code=code, action="approve")
    while b"Logged in" not in seen:
        seen += os.read(master, 65536)
    assert process.wait(PATIENCE_S) == 0
    os.close(master)
    text = seen.decode("utf-8", "replace")
    rows = [line for line in text.split("\r\n") if "\u2580" in line or "\u2588" in line]
    assert len(rows) > 12 and all(row.startswith("    \033[30;107m") and row.endswith("\033[0m") for row in rows)
    assert re.search(r"\r\d:\d\d left ", text)


@pytest.mark.parametrize("action,said", [("deny", "the request was denied"), ("expire", "the code has expired before it was confirmed")])
def test_a_device_that_is_not_confirmed(tmp_path, sim, action, said):
    user = User(tmp_path, sim)
    process, asked = user.begin()
    sim.control("device", user_code=asked["user_code"], action=action)
    assert user.finish(process) == (1, "", f"moonpost: {said}\n")
    assert not os.path.exists(os.path.join(user.data, "login"))


def test_slow_down_adds_five_seconds(tmp_path, sim):
    user = User(tmp_path, sim)
    process, asked = user.begin()
    sim.control("device", user_code=asked["user_code"], action="slow_down")
    eventually(lambda: "slow_down" in polls(sim), "a poll that is told so")
    sim.control("device", user_code=asked["user_code"], action="approve")
    assert user.finish(process)[0] == 0
    calls = sim.calls(path="/oauth/token/")
    assert [call["answer"].get("error") for call in calls[-2:]] == ["slow_down", None]
    seconds = [float(call["at"][17:23]) for call in calls[-2:]]
    # The interval of 1 s and 5 more, whatever else the machine does.
    assert (seconds[1] - seconds[0]) % 60 >= 5.95


def test_trouble_while_it_waits_is_waited_out(tmp_path, sim):
    user = User(tmp_path, sim)
    process, asked = user.begin()
    sim.control("fail", count=1, status=502, path="/oauth/token/")
    eventually(lambda: sim.calls(path="/oauth/token/", status=502), "a failed poll")
    sim.control("device", user_code=asked["user_code"], action="approve")
    assert user.finish(process)[0] == 0


def test_interrupted_it_leaves_nothing(tmp_path, sim):
    user = User(tmp_path, sim)
    process, asked = user.begin()
    eventually(lambda: polls(sim), "a poll")
    process.send_signal(signal.SIGINT)
    code, out, err = user.finish(process)
    assert (code, out, err) == (-signal.SIGINT, "", "")
    assert not os.path.exists(os.path.join(user.data, "login"))
    assert user.run("token")[0] == 1
    # And the next one goes well.
    user.log_in(sim)


def test_wrong_client(tmp_path, sim):
    user = User(tmp_path, sim, SENTRY_CLIENT_ID="somebody")
    code, out, err = user.run("login")
    assert (code, out) == (2, "") and "SENTRY_CLIENT_ID" in err
    user = User(tmp_path, sim)
    del user.env["SENTRY_CLIENT_ID"]
    code, out, err = user.run("login")
    assert (code, out) == (2, "") and "SENTRY_CLIENT_ID" in err
    code, out, err = User(tmp_path, sim).run("login", "--scope", "all")
    assert (code, out) == (1, "") and "scope" in err


def test_nobody_there(tmp_path, sim):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    user = User(tmp_path, sim, SENTRY_URL=f"http://127.0.0.1:{port}")
    for how in ((), ("--json",)):
        code, out, err = user.run("login", *how)
        assert (code, out) == (3, "") and f"http://127.0.0.1:{port}" in err


def visit(url):
    """What a browser does: ask, and follow back.  The last answer's status and text."""
    for _ in range(3):
        at = urllib.parse.urlsplit(url)
        conn = http.client.HTTPConnection(at.hostname, at.port, timeout=PATIENCE_S)
        conn.request("GET", f"{at.path}?{at.query}")
        answer = conn.getresponse()
        text = answer.read().decode()
        conn.close()
        if answer.status != 302:
            return answer.status, text
        url = answer.headers["Location"]
    raise AssertionError("goes round in circles")


def test_by_browser(tmp_path, sim):
    user = User(tmp_path, sim)
    process, asked = user.begin("--pkce")
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(asked["authorize_url"]).query))
    assert query["code_challenge_method"] == "S256" and len(query["code_challenge"]) == 43
    back = urllib.parse.urlsplit(query["redirect_uri"])
    assert back.hostname == "127.0.0.1" and back.path == "/callback"
    # Somebody else who found the port gets nowhere.
    for wrong in ("", "?code=x", "?code=x&state=", "?code=x&state=" + query["state"][:-1] + "!", "?error=access_denied&state=x"):
        assert visit(query["redirect_uri"] + wrong)[0] == 400
    assert visit(query["redirect_uri"].replace("callback", "other"))[0] == 404
    status, text = visit(asked["authorize_url"])
    assert status == 200 and "Logged in" in text
    code, out, err = user.finish(process)
    assert (code, err) == (0, "")
    exchanged = sim.calls(path="/oauth/token/")
    assert len(exchanged) == 1 and exchanged[0]["status"] == 200
    body = exchanged[0]["body"]
    assert list(body) == ["grant_type", "code", "redirect_uri", "client_id", "code_verifier"]
    assert body["redirect_uri"] == query["redirect_uri"]
    assert sim.api("GET", "/organizations/", token=user.token()).status == 200


def test_the_browser_is_opened(tmp_path, sim):
    opener = tmp_path / "browser"
    opener.write_text("#!/bin/sh\nprintf %s \"$1\" > \"$0.url.tmp\" && mv \"$0.url.tmp\" \"$0.url\"\n")
    opener.chmod(0o755)
    user = User(tmp_path, sim, BROWSER=str(opener))
    process = user.start("login", "--pkce")
    url = eventually(lambda: os.path.exists(f"{opener}.url") and open(f"{opener}.url").read(), "the browser was started")
    assert visit(url)[0] == 200
    code, out, err = user.finish(process)
    assert (code, err) == (0, "") and url in out


def test_a_person_says_no_in_the_browser(tmp_path, sim):
    user = User(tmp_path, sim)
    sim.control("deny")
    process, asked = user.begin("--pkce")
    status, text = visit(asked["authorize_url"])
    assert status == 200 and "Not logged in" in text
    assert user.finish(process) == (1, "", "moonpost: the request was denied\n")


def test_a_code_that_is_taken_already(tmp_path, sim):
    user = User(tmp_path, sim)
    process, asked = user.begin("--pkce")
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(asked["authorize_url"]).query))
    assert visit(query["redirect_uri"] + "?code=stolen&state=" + query["state"])[0] == 200
    code, out, err = user.finish(process)
    assert (code, out) == (1, "") and "invalid_grant" in err


def test_token_and_logout(tmp_path, sim):
    user = User(tmp_path, sim)
    code, out, err = user.run("token")
    assert (code, out) == (1, "") and "moonpost login" in err
    assert not os.path.exists(user.data)
    assert user.run("logout") == (0, "Nobody was logged in.\n", "")
    user.log_in(sim)
    token = user.token()
    code, out, err = user.run("token", "--json")
    shown = json.loads(out)
    assert (code, err) == (0, "") and list(shown) == ["access_token", "expires_at"]
    assert shown["access_token"] == token and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", shown["expires_at"])
    code, out, err = user.run("logout")
    assert (code, err) == (0, "") and out.startswith("Logged out.")
    assert not os.path.exists(os.path.join(user.data, "login"))
    assert user.run("token")[0] == 1


def test_a_token_is_for_its_own_server_alone(tmp_path, sim):
    user = User(tmp_path, sim)
    user.log_in(sim)
    other = User(tmp_path, sim, SENTRY_URL="https://sentry.example")
    code, out, err = other.run("token")
    assert (code, out) == (1, "") and "sentry.example" in err
    del user.env["SENTRY_URL"]
    assert user.token()


def test_another_key_opens_nothing(tmp_path, sim):
    user = User(tmp_path, sim, MOONPOST_KEY="11" * 32)
    user.log_in(sim)
    assert not os.path.exists(os.path.join(user.data, "key"))
    assert user.token()
    code, out, err = User(tmp_path, sim, MOONPOST_KEY="22" * 32).run("token")
    assert (code, out) == (1, "") and "login" in err
    path = os.path.join(user.data, "login")
    sealed = open(path).read()
    with open(path, "w") as f:
        f.write(sealed[:-3] + ("A" if sealed[-3] != "A" else "B") + sealed[-2:])
    assert user.run("token")[0] == 1


@pytest.fixture
def hasty(tmp_path):
    """A user whose token is due after a good two seconds."""
    with Sim(scale=1000000) as sim:
        user = User(tmp_path, sim)
        user.log_in(sim)
        yield user, sim


def refreshes(sim):
    return [call for call in sim.calls(path="/oauth/token/") if call["body"].get("grant_type") == "refresh_token"]


def when_due(user, sim):
    """Wait until a new token is asked for."""
    before = user.token()
    return eventually(lambda: (lambda now: now != before and now)(user.token()), "another token", pause=0.1)


def test_a_token_is_refreshed_when_it_is_due(hasty):
    user, sim = hasty
    token = when_due(user, sim)
    assert sim.api("GET", "/organizations/", token=token).status == 200
    calls = refreshes(sim)
    assert calls and all(call["status"] == 200 for call in calls)
    assert list(calls[0]["body"]) == ["grant_type", "refresh_token", "client_id"]
    # Each refresh token was used once.
    assert len({call["body"]["refresh_token"] for call in calls}) == len(calls)


def test_many_at_once_refresh_once(tmp_path):
    with Sim(scale=400000) as sim:   # A token lives 6 s.
        user = User(tmp_path, sim)
        user.log_in(sim)
        expires = json.loads(user.run("token", "--json")[1])["expires_at"]
        due = time.mktime(time.strptime(expires[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone + 1
        eventually(lambda: time.time() > due, "the token is over")
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            tokens = set(pool.map(lambda _: user.token(), range(20)))
        assert len(tokens) == 1 and len(refreshes(sim)) == 1
        assert sim.api("GET", "/organizations/", token=tokens.pop()).status == 200


def test_a_login_that_sentry_has_ended(hasty):
    user, sim = hasty
    sim.control("fail", count=1000, status=400, path="/oauth/token/", body={"error": "invalid_grant"})
    code, out, err = eventually(lambda: (lambda r: r[0] != 0 and r)(user.run("token")), "the token is over", pause=0.1)
    assert (code, out) == (1, "") and "moonpost login" in err


def test_sentry_is_away_when_the_token_is_over(hasty):
    user, sim = hasty
    sim.control("fail", count=1000, status=503, path="/oauth/token/")
    code, out, err = eventually(lambda: (lambda r: r[0] != 0 and r)(user.run("token")), "the token is over", pause=0.1)
    assert (code, out) == (3, "") and "503" in err
    # It comes back: the refresh token was not thrown away.
    sim.control("fail", count=0)
    assert user.token()


def test_nothing_but_token_prints_a_token(hasty):
    user, sim = hasty
    said = []
    for args in (("login", "--json"), ("login", "--pkce", "--json")):
        process, asked = user.begin(*args[1:])
        if "user_code" in asked:
            sim.control("device", user_code=asked["user_code"], action="approve")
        else:
            visit(asked["authorize_url"])
        code, out, err = user.finish(process)
        assert code == 0
        said += [json.dumps(asked), out, err]
    token = user.token()
    said += user.run("logout")[1:]
    said = "".join(said)
    assert token not in said
    stored = {call["answer"].get("access_token") for call in sim.calls(path="/oauth/token/")}
    for secret in re.findall(r"[0-9a-f]{64}", said):
        digest = hashlib.sha256(secret.encode()).hexdigest()[:8]
        assert f"sha256:{digest}" not in stored
