"""The commands that need no host: what they print, and their exit statuses."""

import hashlib
import hmac
import http.server
import json
import os
import pty
import re
import shutil
import subprocess
import threading
import time

import pytest

from conftest import MOONPOST, TIMEOUT_S, clean_env

COMMANDS = ["serve", "check", "send", "validate", "channels", "deliveries", "show", "replay", "tail", "scripts", "pause",
            "resume", "discard", "help"]
SECRET = "a client secret"


class Catcher:
    """Answers every request, and keeps it."""

    def __init__(self, status=200, answer=b'{"status":"accepted","id":"7"}'):
        self.requests = []
        catcher = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                catcher.requests.append((self.path, dict(self.headers.items()), body))
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/webhook"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def catcher():
    with Catcher() as c:
        yield c


def sign(body, secret=SECRET):
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def closed_port():
    """A port that nobody listens on: bound, and never listened on."""
    import socket
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    return s


# ---- the frame -------------------------------------------------------------

def test_version_is_the_first_line(moonpost):
    r = moonpost("--version")
    assert r.status == 0
    assert r.out.splitlines()[0] == "moonpost 0.1.0"


def test_help_lists_every_command(moonpost):
    for args in (["help"], ["--help"], ["-h"]):
        r = moonpost(*args)
        assert r.status == 0 and r.err == ""
        for command in COMMANDS:
            assert re.search(rf"^  {command} ", r.out, re.M), command
        # What is of no use to people is not there.
        assert "worker" not in r.out.split()
        assert all(len(line) <= 80 for line in r.out.splitlines())


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_in_three_ways(moonpost, command):
    r = moonpost("help", command)
    if command != "help":
        assert r.out.startswith(f"usage: moonpost {command} ")
        assert moonpost(command, "--help").out == r.out
        assert moonpost(command, "-h", "--nonsense").out == r.out
        for line in r.out.split("examples\n")[0].splitlines():
            assert len(line) <= 80, line
    assert r.status == 0


def test_a_worker_by_hand_is_refused(moonpost):
    r = moonpost("worker")
    assert r.status == 2 and "started by the host" in r.err


def test_no_command_is_wrong_usage(moonpost):
    r = moonpost()
    assert r.status == 2 and r.out == "" and "moonpost help" in r.err


@pytest.mark.parametrize("args, hint", [
    (["chanels"], "did you mean 'channels'?"),
    (["help", "sned"], "did you mean 'send'?"),
    (["channels", "--jsn"], "did you mean --json?"),
    (["send", "issue.created", "--ulr", "x"], "did you mean --url?"),
    (["--verison"], "'moonpost help'"),
])
def test_what_is_unknown_is_refused_with_a_suggestion(moonpost, args, hint):
    r = moonpost(*args)
    assert r.status == 2 and r.out == ""
    assert hint in r.err


def test_too_many_arguments(moonpost):
    r = moonpost("channels", "issue")
    assert r.status == 2
    assert "one argument too many" in r.err and "usage: moonpost channels" in r.err


def test_wrong_environment_is_told_by_name(moonpost):
    r = moonpost("channels", env={"MOONPOST_RETRY_MAX": "5 parsecs"})
    assert r.status == 2
    assert "MOONPOST_RETRY_MAX: '5 parsecs' is not a duration" in r.err


def test_control_characters_of_arguments_do_not_reach_the_terminal(moonpost):
    r = moonpost("\033[31mx")
    assert "\033" not in r.err and "\\x1b" in r.err


def test_a_full_disk_behind_the_output_is_a_failure(tmp_path):
    with open("/dev/full", "w") as full:
        r = subprocess.run([MOONPOST, "help"], stdout=full, stderr=subprocess.PIPE,
                           env=clean_env(), cwd=tmp_path, timeout=TIMEOUT_S)
    assert r.returncode == 3 and b"cannot write the output" in r.stderr


def on_terminal(tmp_path, *args, **env):
    """What a command prints when its standard output is a terminal."""
    try:
        ours, theirs = pty.openpty()
    except OSError as e:
        pytest.skip(f"no terminal to be had: {e}")
    child = subprocess.Popen([MOONPOST, *args], stdin=subprocess.DEVNULL, stdout=theirs,
                             stderr=subprocess.DEVNULL, cwd=tmp_path, env=clean_env(TERM="xterm", **env))
    os.close(theirs)
    out = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # EIO: the other side is closed.
            break
        if not piece:
            break
        out += piece
    os.close(ours)
    child.wait(timeout=TIMEOUT_S)
    return out.decode()


def test_colours_only_on_a_terminal_and_without_no_color(moonpost, tmp_path):
    assert "\033[" in on_terminal(tmp_path, "help")
    assert "\033" not in on_terminal(tmp_path, "help", NO_COLOR="1")
    assert "\033" not in on_terminal(tmp_path, "channels", NO_COLOR="1")
    assert "\033" not in moonpost("help").out
    assert "\033[" in moonpost("help", env={"CLICOLOR_FORCE": "1"}).out
    assert "\033" not in moonpost("help", env={"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}).out


# ---- channels ----------------------------------------------------------------

def test_channels_as_json(moonpost):
    r = moonpost("channels", "--json")
    assert r.status == 0
    rows = {row["resource"]: row for row in json.loads(r.out)}
    assert set(rows) >= {"issue", "error", "comment", "installation", "event_alert", "metric_alert"}
    assert "created" in rows["issue"]["actions"]
    assert rows["issue"]["handlers"] == ["on_issue", "on_event"]
    assert rows["event_alert"]["handlers"] == ["on_event_alert", "on_error", "on_alert", "on_event"]


def test_channels_as_a_table(moonpost):
    lines = moonpost("channels").out.splitlines()
    assert lines[0].split() == ["CHANNEL", "RESOURCE", "ACTIONS", "HANDLERS"]
    at = lines[0].index("HANDLERS")
    for line in lines[1:]:
        assert line[at:].startswith("on_"), line
        assert line[at - 1] == " "
    assert len(lines) == 1 + len(json.loads(moonpost("channels", "--json").out))


def test_channels_fit_a_terminal(tmp_path):
    assert all(len(line) <= 110 for line in on_terminal(tmp_path, "channels").splitlines())


DEPLOYS = """
asyncapi: 2.6.0
info: {title: deploys, version: 1.0.0}
channels:
  deploy:
    publish:
      message:
        $ref: '#/components/messages/deploy'
components:
  messages:
    deploy:
      headers:
        type: object
        properties:
          Sentry-Hook-Resource: {type: string, enum: [deploy]}
      payload:
        type: object
        required: [action]
        properties:
          action: {type: string, enum: [started, finished]}
"""


def test_channels_of_an_added_document(moonpost, tmp_path):
    (tmp_path / "deploys.yml").write_text(DEPLOYS)
    by_flag = json.loads(moonpost("channels", "--json", "--schema", "deploys.yml").out)
    row = next(row for row in by_flag if row["resource"] == "deploy")
    assert row["handlers"] == ["on_deploy", "on_event"]
    by_env = moonpost("channels", "--json", env={"MOONPOST_SCHEMA": "deploys.yml"})
    assert json.loads(by_env.out) == by_flag


def test_channels_of_documents_that_cannot_be(moonpost, tmp_path):
    assert moonpost("channels", "--schema", "nowhere.yml").status == 3
    (tmp_path / "bad.yml").write_text("swagger: 2.0\n")
    r = moonpost("channels", "--schema", "bad.yml")
    assert r.status == 2 and "bad.yml" in r.err


# ---- validate ------------------------------------------------------------------

def sample(moonpost, event="issue.created", *more):
    """The body that `send` would send."""
    with Catcher() as c:
        assert moonpost("send", event, "--url", c.url, "--secret", SECRET, *more).status == 0
        return c.requests[0][2]


def test_validate_tells_each_file_apart(moonpost, tmp_path):
    (tmp_path / "good.json").write_bytes(sample(moonpost))
    (tmp_path / "bad.json").write_text('{"action":"created","data":{"issue":7},"installation":{"uuid":"x"}}')
    (tmp_path / "broken.json").write_text('{\n"a": 1,\n}')
    r = moonpost("validate", "--resource", "issue", "good.json", "bad.json", "broken.json")
    assert r.status == 1
    good, bad, broken = r.out.splitlines()
    assert good == "good.json: valid"
    assert re.fullmatch(r"bad\.json: /data/issue: .+", bad)
    assert re.fullmatch(r"broken\.json: line 3, byte 10: .+", broken)
    assert moonpost("validate", "--resource", "issue", "good.json").status == 0


def test_validate_as_json(moonpost, tmp_path):
    (tmp_path / "broken.json").write_text("[1,]")
    r = moonpost("validate", "--json", "--resource", "issue", "-", "broken.json", "gone.json", stdin=b"[]")
    assert r.status == 3
    root, broken, gone = json.loads(r.out)
    assert root["file"] == "-" and root["valid"] is False
    assert root["error"] == "schema_violation" and root["pointer"] == ""
    assert broken["error"] == "invalid_json" and broken["offset"] == 3 and broken["line"] == 1
    assert gone["error"] == "not_found" and "gone.json" in gone["message"]


def test_validate_takes_any_schema(moonpost, tmp_path):
    (tmp_path / "true.json").write_text("true")
    (tmp_path / "false.json").write_text("false")
    (tmp_path / "int.json").write_text('{"items": {"type": "integer"}}')
    assert moonpost("validate", "--schema", "true.json", "-", stdin=b"[null]").out == "-: valid\n"
    r = moonpost("validate", "--schema", "false.json", "-", stdin=b"1")
    assert r.status == 1 and r.out.startswith("-: (root): ")
    assert moonpost("validate", "--schema", "int.json", "-", stdin=b"[1, 2.0]").status == 0
    r = moonpost("validate", "--schema", "int.json", "-", stdin=b'[1, "2"]')
    assert r.status == 1 and r.out.startswith("-: /1: ")


@pytest.mark.parametrize("args, status", [
    (["f.json"], 2),
    (["--resource", "issue"], 2),
    (["--resource", "issue", "--schema", "s.json", "f.json"], 2),
    (["--resource", "isue", "f.json"], 2),
    (["--resource", "issue", "gone.json"], 3),
    (["--schema", "gone.json", "f.json"], 3),
    (["--schema", "broken.json", "f.json"], 2),
    (["--schema", "wrong.json", "f.json"], 2),
])
def test_validate_statuses(moonpost, tmp_path, args, status):
    (tmp_path / "f.json").write_text("{}")
    (tmp_path / "s.json").write_text("true")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "wrong.json").write_text('{"type": "strin"}')
    r = moonpost("validate", *args)
    assert r.status == status, r
    assert r.err.startswith("moonpost: ")
    if "isue" in args:
        assert "did you mean 'issue'?" in r.err


# ---- send ------------------------------------------------------------------------

def test_send_looks_like_sentry(moonpost, catcher):
    before = int(time.time())
    r = moonpost("send", "issue.created", "--url", catcher.url, env={"SENTRY_CLIENT_SECRET": SECRET + ",old"})
    assert r.status == 0, r
    assert '200 {"status":"accepted","id":"7"}' in r.out
    (path, headers, body), = catcher.requests
    assert path == "/webhook"
    assert headers["Content-Type"] == "application/json"
    assert headers["Sentry-Hook-Resource"] == "issue"
    assert headers["Sentry-Hook-Signature"] == sign(body)
    assert before <= int(headers["Sentry-Hook-Timestamp"]) <= time.time()
    assert re.fullmatch("[0-9a-f]{32}", headers["Request-ID"])
    assert re.fullmatch("[0-9a-f]{32}", headers["Idempotency-Key"])
    assert headers["User-Agent"].startswith("sentry/")
    assert "Expect" not in headers
    assert body.isascii()
    assert json.loads(body)["action"] == "created"


def test_every_event_of_the_list_can_be_sent_and_is_valid(moonpost, catcher, tmp_path):
    events = moonpost("send", "--list").out.split()
    assert len(events) > 20 and "issue.created" in events and "metric_alert.critical" in events
    assert json.loads(moonpost("send", "--list", "--json").out) == events
    for event in events:
        assert moonpost("send", event, "--url", catcher.url, "--secret", SECRET).status == 0, event
        _, headers, body = catcher.requests[-1]
        assert headers["Sentry-Hook-Resource"] == event.split(".")[0]
        r = moonpost("validate", "--resource", event.split(".")[0], "-", stdin=body)
        assert r.status == 0, (event, r)


def test_send_sets_values(moonpost, catcher):
    assert moonpost("send", "issue.created", "--url", catcher.url, "--secret", SECRET,
                    "--set", "data.issue.level=fatal", "--set", "data.issue.count=12",
                    "--set", 'data.extra.deep={"a":[1]}', "--set", "data.issue.title=a=b").status == 0
    _, headers, body = catcher.requests[0]
    data = json.loads(body)["data"]
    assert data["issue"]["level"] == "fatal"
    assert data["issue"]["count"] == 12
    assert data["extra"]["deep"] == {"a": [1]}
    assert data["issue"]["title"] == "a=b"
    assert headers["Sentry-Hook-Signature"] == sign(body)


def test_send_signs_any_body(moonpost, catcher, tmp_path):
    body = b"\x00not JSON \xff'"
    (tmp_path / "body").write_bytes(body)
    assert moonpost("send", "issue.created", "--file", "body", "--url", catcher.url, "--secret", SECRET).status == 0
    assert moonpost("send", "--resource", "brand_new", "--file", "-", "--url", catcher.url, "--secret", SECRET,
                    stdin=body).status == 0
    for (_, headers, got), resource in zip(catcher.requests, ["issue", "brand_new"]):
        assert got == body
        assert headers["Sentry-Hook-Resource"] == resource
        assert headers["Sentry-Hook-Signature"] == sign(body)


def test_send_counts(moonpost, catcher):
    r = moonpost("send", "error.created", "--url", catcher.url, "--secret", SECRET, "--count", "50")
    assert r.status == 0 and "200: 50" in r.out and "50 sent" in r.out
    assert len(catcher.requests) == 50
    assert len({h["Idempotency-Key"] for _, h, _ in catcher.requests}) == 50
    assert all(h["Sentry-Hook-Signature"] == sign(b) for _, h, b in catcher.requests)
    r = moonpost("send", "error.created", "--url", catcher.url, "--secret", SECRET, "--count=3", "--json")
    assert json.loads(r.out)["statuses"] == {"200": 3}


def test_send_answers_as_json(moonpost, catcher):
    r = moonpost("send", "issue.created", "--url", catcher.url, "--secret", SECRET, "--json")
    told = json.loads(r.out)
    assert told["status"] == 200 and told["answer"] == {"status": "accepted", "id": "7"}
    assert told["event"] == "issue.created" and told["resource"] == "issue"
    assert told["idempotency_key"] == catcher.requests[0][1]["Idempotency-Key"]


def test_send_takes_the_secret_of_a_host_in_dev_mode(moonpost, catcher, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dev-secret").write_text("made by dev\n")
    assert moonpost("send", "issue.created", "--url", catcher.url).status == 0
    _, headers, body = catcher.requests[0]
    assert headers["Sentry-Hook-Signature"] == sign(body, "made by dev")


@pytest.mark.parametrize("listen, url", [
    ("127.0.0.1:9", "http://127.0.0.1:9/webhook"),
    ("0.0.0.0:9", "http://127.0.0.1:9/webhook"),
    ("[::]:9", "http://[::1]:9/webhook"),
    ("127.0.0.1:0", "http://127.0.0.1:8080/webhook"),
])
def test_send_finds_a_host_that_is_configured_alike(moonpost, listen, url):
    r = moonpost("send", "issue.created", "--print", "--secret", SECRET, env={"MOONPOST_LISTEN": listen})
    assert f"curl -sS -X POST '{url}'" in r.out
    tls = {"MOONPOST_LISTEN": listen, "MOONPOST_TLS_CERT": "c.pem", "MOONPOST_TLS_KEY": "k.pem"}
    r = moonpost("send", "issue.created", "--print", "--secret", SECRET, "--url", "http://x/", env=tls)
    assert "curl -sS -X POST 'http://x/'" in r.out


@pytest.mark.parametrize("status", [401, 422, 500, 302])
def test_an_answer_that_is_not_2xx_is_bad(moonpost, status):
    with Catcher(status, b'{"error":"no"}\x1b[2J') as c:
        r = moonpost("send", "issue.created", "--url", c.url, "--secret", SECRET)
    assert r.status == 1 and f'{status} {{"error":"no"}}' in r.out
    assert "\033" not in r.out
    assert ("another client secret" in r.err) == (status == 401)


def test_nobody_listening(moonpost):
    s = closed_port()
    url = f"http://127.0.0.1:{s.getsockname()[1]}/webhook"
    for more in ([], ["--count", "40"], ["--json"]):
        r = moonpost("send", "issue.created", "--url", url, "--secret", SECRET, *more)
        assert r.status == 3 and "nobody listens" in r.err and url in r.err
    s.close()


@pytest.mark.parametrize("args, hint", [
    ([], "name what to send"),
    (["issue.craeted"], "created"),
    (["isue.created"], "issue"),
    (["issue.created", "--set", "data"], "PATH=VALUE"),
    (["issue.created", "--set", "action.x=1"], "--set action.x"),
    (["issue.created", "--url", "ftp://x/"], "ftp://x/"),
    (["issue.created", "--count", "0"], "--count: '0' is out of range"),
    (["--resource", "a\nb", "--file", "-"], "cannot be the name of a resource"),
    (["--resource", "x", "--file", "-", "--set", "a=1"], "JSON"),
])
def test_send_refuses(moonpost, args, hint):
    r = moonpost("send", *args, "--secret", SECRET, stdin=b"{")
    assert r.status == 2, r
    assert hint in r.err
    assert SECRET not in r.err + r.out


def test_send_without_a_secret_says_what_to_set(moonpost):
    r = moonpost("send", "issue.created")
    assert r.status == 2 and "SENTRY_CLIENT_SECRET" in r.err


def test_send_a_file_that_is_not_there(moonpost):
    assert moonpost("send", "issue.created", "--file", "gone", "--secret", SECRET).status == 3


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not there")
@pytest.mark.parametrize("body", [
    None,
    b"""{"quote":"it's \\"so\\" $HOME `x` \\\\n"}\n\n""",
    b"@/etc/passwd",
    b"\x00\x01'\\n%s\xff\r\n",
    b"x'" * 100000,
    b"",
], ids=["sample", "quotes", "at sign", "binary", "long", "empty"])
def test_printed_commands_send_the_same_bytes(moonpost, catcher, tmp_path, body):
    args = ["issue.created", "--print", "--secret", SECRET, "--url", catcher.url + "?a=b&c='d'"]
    if body is not None:
        (tmp_path / "body").write_bytes(body)
        args += ["--file", "body"]
    r = moonpost("send", *args)
    assert r.status == 0 and catcher.requests == []
    assert SECRET not in r.out
    done = subprocess.run(["sh"], input=r.out.encode("utf-8", "surrogateescape"), capture_output=True,
                          cwd=tmp_path, timeout=TIMEOUT_S)
    assert done.returncode == 0, done
    (path, headers, got), = catcher.requests
    assert path == "/webhook?a=b&c='d'"
    if body is not None:
        assert got == body
    assert headers["Sentry-Hook-Signature"] == sign(got)
    assert headers["Sentry-Hook-Resource"] == "issue"
    assert headers["User-Agent"].startswith("sentry/")


def test_serve_without_a_scripts_folder_says_what_to_do(moonpost):
    r = moonpost("serve", "--dev", "--listen", "127.0.0.1:0", "--scripts", "nowhere")
    assert r.status == 3
    assert "there is no scripts folder nowhere: make it, or name another with --scripts" in r.err
