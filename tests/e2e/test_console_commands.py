"""The commands that ask a running host: what they print, and their exit statuses."""

import json
import os
import re
import signal
import socket
import subprocess
import threading

import pytest

from conftest import MOONPOST, TIMEOUT_S, clean_env
from host import Host, eventually
from test_console import envelope, issue, states, wait_for

ASKING = [("deliveries",), ("show", "1"), ("replay", "1"), ("replay", "--state", "dead"), ("tail",), ("scripts",),
          ("pause", "a"), ("resume", "a"), ("discard", "a")]


@pytest.fixture
def host(tmp_path):
    host = Host(tmp_path, "--retry-attempts", "1", wait=False)
    host.write("triage.lua", """
function on_issue(event)
  if event.data.issue.level ~= "fatal" then return end
  log.warn("on fire", { id = event.data.issue.id, note = "two words" })
  step("ticket", function() return { key = "OPS-1" } end)
  error("cannot do\\nfatal ones \\27[31m")
end
""")
    with host.start():
        yield host


@pytest.fixture
def ask(host, moonpost):
    def run(*args, **kw):
        r = moonpost(*args, "--data", host.data, **kw)
        r.json = json.loads(r.out) if "--json" in args and r.status == 0 else None
        return r
    return run


def free_address():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{s.getsockname()[1]}"


@pytest.mark.parametrize("command", ASKING, ids="-".join)
def test_nobody_listens(moonpost, tmp_path, command):
    address = free_address()
    r = moonpost(*command, "--console", address)
    assert r.status == 3 and r.out == ""
    assert r.err == (f"moonpost: nobody listens at http://{address}: start 'moonpost serve', or name the console of a "
                     "host with --console HOST:PORT\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "console-token").write_text("t")
    r = moonpost(*command, "--console", address)
    assert r.status == 3 and "nobody listens" in r.err, "with a token, too"


@pytest.mark.parametrize("command", ASKING, ids="-".join)
def test_the_wrong_token_is_told(host, moonpost, command, tmp_path):
    address = f"127.0.0.1:{host.console_port}"
    (tmp_path / "elsewhere").mkdir()
    r = moonpost(*command, "--console", address, cwd=tmp_path / "elsewhere")
    assert r.status == 3 and f"no token for the console at http://{address}" in r.err and "--data" in r.err
    r = moonpost(*command, "--console", address, "--console-token", "wrong")
    assert r.status == 3 and "does not take the token" in r.err


@pytest.mark.parametrize("command, word", [
    (("show",), "name a delivery"), (("show", "1", "2"), "one argument too many"), (("replay",), "name deliveries"),
    (("replay", "1", "--state", "dead"), "name deliveries"), (("replay", "1", "--since", "1h"), "go with --state"),
    (("replay", "--state", "dead", "--all-scripts"), "goes with IDs"), (("pause",), "name a script"),
    (("deliveries", "--limit", "0"), "--limit"), (("deliveries", "--console", "off"), "--console is off"),
    (("deliveries", "--stat", "dead"), "did you mean --state"),
])
def test_wrong_usage(moonpost, command, word):
    r = moonpost(*command)
    assert r.status == 2 and word in r.err and r.out == ""


def test_the_list(host, ask):
    assert ask("deliveries").out == "ID  RECEIVED  RESOURCE  ACTION  STATE  SCRIPTS  ERROR\n"
    good = host.deliver("issue", envelope(**issue())).json["id"]
    dead = host.deliver("issue", envelope("resolved", **issue(level="fatal"))).json["id"]
    bad = host.deliver("issue", envelope(**issue(level="loud"))).json["id"]
    wait_for(host, good, triage="done")
    wait_for(host, dead, triage="dead")
    r = ask("deliveries")
    assert r.status == 0 and r.err == ""
    head, *rows = r.out.splitlines()
    assert [row.split()[0] for row in rows] == [bad, dead, good]
    for name, values in [("RESOURCE", {"issue"}), ("ACTION", {"created", "resolved"}),
                         ("STATE", {"done", "dead", "invalid"})]:
        at = head.index(name)
        assert {row[at:].split()[0] for row in rows} == values, "aligned"
    assert rows[1].endswith("triage.lua:6: cannot do"), "the first line of the error"
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", rows[0])
    assert "\x1b" not in r.out
    colours = ask("deliveries", env={"CLICOLOR_FORCE": "1"}).out
    assert "\x1b[31mdead\x1b[0m" in colours and "\x1b[32mdone\x1b[0m" in colours

    def found(*args):
        return [d["id"] for d in ask("deliveries", *args, "--json").json["deliveries"]]

    assert found() == [bad, dead, good]
    assert found("--state", "dead") == found("--action", "resolved") == found("--q", "cannot do") == [dead]
    assert found("--script", "triage", "--since", "1h", "--integration", "default") == [dead, good]
    assert found("--resource", "comment") == found("--until", "2020-01-01T00:00:00+02:00") == []
    assert found("--q", "a&b=c d%+") == []
    r = ask("deliveries", "--limit", "2")
    assert len(r.out.splitlines()) == 3 and "older ones" in r.err
    assert ask("deliveries", "--limit", "1", "--json").json["next"] == bad
    for args, word in [(("--state", "deaf"), "deaf"), (("--since", "yesterday"), "since: 'yesterday' is neither")]:
        r = ask("deliveries", *args)
        assert r.status == 2 and word in r.err


def test_more_than_a_page(host, ask):
    host.post("scripts/triage/pause")
    for n in range(520):
        assert host.deliver("issue", envelope(**issue(id=str(n)))).status == 200
    r = ask("deliveries", "--limit", "510", "--json")
    ids = [int(d["id"]) for d in r.json["deliveries"]]
    assert ids == list(range(520, 10, -1)) and r.json["next"] == "11"
    assert ask("discard", "triage").out == "520 jobs of triage dropped\n"


def test_one_of_them(host, ask):
    dead = host.deliver("issue", envelope(**issue(level="fatal", big=12345678901234567890123)), key="k-1").json["id"]
    wait_for(host, dead, triage="dead")
    r = ask("show", dead)
    assert r.status == 0 and r.err == "" and "\x1b" not in r.out
    for part in (f"delivery {dead}: issue.created\n", "state        dead\n", "key          k-1\n",
                 "  Sentry-Hook-Resource: issue\n", '        "level": "fatal",\n', "job triage on_issue: dead, attempts 1\n",
                 "triage.lua:6: cannot do\n    fatal ones \\x1b[31m\n", "in handler on_issue\n",
                 ' warn  on fire id="1234567890" note="two words"\n', '  step ticket = {"key":"OPS-1"}\n'):
        assert part in r.out, part
    d = ask("show", dead, "--json")
    assert d.json["jobs"][0]["steps"][0]["result"] == {"key": "OPS-1"}
    assert "12345678901234567890123" in d.out, "numbers stay what they were"
    bad = host.deliver("issue", envelope(**issue(level="loud"))).json["id"]
    r = ask("show", bad)
    assert "at           /data/issue/level\n" in r.out and "state        invalid\n" in r.out
    r = ask("show", "4711")
    assert (r.status, r.out, r.err) == (1, "", "moonpost: there is no delivery 4711\n")
    assert ask("show", "no number").status == 1


def test_run_again(host, ask):
    ids = [host.deliver("issue", envelope(**issue(level="fatal", id=str(n)))).json["id"] for n in range(3)]
    for n in ids:
        wait_for(host, n, triage="dead")
    host.write("triage.lua", "function on_issue() end")
    host.log(msg="script loaded", script="triage", count=2)
    r = ask("replay", ids[0])
    assert (r.status, r.out) == (0, f"{ids[0]}: triage\n")
    wait_for(host, ids[0], triage="done")
    assert ask("replay", ids[0]).out == f"{ids[0]}: nothing to replay\n"
    assert ask("replay", ids[0], "--script", "triage", "--json").json == {"replayed": ["triage"]}
    wait_for(host, ids[0], triage="done")
    assert ask("replay", ids[0], "--all-scripts").out == f"{ids[0]}: triage\n"
    r = ask("replay", "4711", ids[0], "--script", "nobody")
    assert r.status == 1 and r.out == f"{ids[0]}: nothing to replay\n" and "no delivery 4711" in r.err
    assert ask("replay", "--state", "dead", "--script", "nobody").out == "0 jobs will run again\n"
    r = ask("replay", "--state", "dead", "--since", "1h")
    assert (r.status, r.out) == (0, "2 jobs will run again\n")
    for n in ids:
        wait_for(host, n, triage="done")
    assert ask("replay", "--state", "pending").status == 2


def test_the_scripts_and_their_backlog(host, ask):
    host.write("broken.lua", "function on_issue(")
    host.log(level="error", script="broken")
    r = ask("scripts")
    assert r.status == 0
    assert re.search(r"^triage +loaded +\d{4}-.* 0 +0 +0 +0 +on_issue$", r.out, re.M)
    assert re.search(r"^broken +failed +- ", r.out, re.M) and "broken: " in r.out and "broken.lua:1:" in r.out
    assert {s["name"] for s in ask("scripts", "--json").json["scripts"]} == {"triage", "broken"}
    assert ask("pause", "triage").out == "triage is paused: its jobs wait for 'moonpost resume triage'\n"
    assert "loaded, paused" in ask("scripts").out
    delivery = host.deliver("issue", envelope(**issue())).json["id"]
    assert states(host, delivery) == {"triage": "pending"}
    assert ask("discard", "triage").out == "1 job of triage dropped\n"
    assert states(host, delivery) == {"triage": "dropped"}
    assert ask("resume", "triage", "--json").json == {"script": "triage", "integration": "default", "paused": False}
    for verb in ("pause", "resume", "discard"):
        r = ask(verb, "no such/script")
        assert r.status == 1 and "there is no script no such/script" in r.err, verb
    assert ask("pause", "triage", "--integration", "nobody").status == 1


def test_they_find_the_host_in_its_data_folder(host, ask, moonpost, tmp_path):
    assert ask("scripts").status == 0, "by console-address, though the port is none that was said"
    r = moonpost("scripts", "--console", f"localhost:{host.console_port}", "--console-token", host.token)
    assert r.status == 0
    r = moonpost("scripts", env={"MOONPOST_CONSOLE": f"127.0.0.1:{host.console_port}",
                                 "MOONPOST_CONSOLE_TOKEN": host.token}, cwd="/")
    assert r.status == 0


def test_serve_says_where_the_console_is(tmp_path, moonpost):
    (tmp_path / "scripts").mkdir()
    for dev in (True, False):
        p = subprocess.Popen([MOONPOST, "serve", "--listen", "127.0.0.1:0", "--console", "127.0.0.1:0", "--log", "json",
                              *(["--dev"] if dev else [])], cwd=tmp_path, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, env=clean_env(SENTRY_CLIENT_SECRET="x" * 20))
        log = []
        reader = threading.Thread(target=lambda: log.extend(p.stderr), daemon=True)
        reader.start()
        eventually(lambda: any(b'"listening"' in line for line in log), "listening")
        p.send_signal(signal.SIGTERM)
        out = p.stdout.read().decode()
        assert p.wait(TIMEOUT_S) == 0
        reader.join(TIMEOUT_S)
        p.stdout.close()
        p.stderr.close()
        token = (tmp_path / "data" / "console-token").read_text()
        if dev:
            assert re.fullmatch(rf"console: http://127\.0\.0\.1:\d+/\?token={token}\n", out)
        else:
            assert out == "", "the token is for people"
        assert token not in b"".join(log).decode()


def test_a_busy_default_port_does_not_stop_the_host(tmp_path, moonpost):
    """8081 may well be taken; deliveries are what matters."""
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind(("127.0.0.1", 8081))
        taken.listen()
    except OSError:
        pass  # Somebody has it already: as good.
    (tmp_path / "scripts").mkdir()
    p = subprocess.Popen([MOONPOST, "serve", "--dev", "--listen", "127.0.0.1:0"], cwd=tmp_path,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=clean_env())
    try:
        port = int(re.search(r":(\d+)/\?token=", p.stdout.readline().decode())[1])
        assert port != 8081
        assert moonpost("scripts").status == 0
    finally:
        p.terminate()
        p.wait(TIMEOUT_S)
        p.stdout.close()
        taken.close()


class Tail:
    def __init__(self, host, *args):
        self.lines = []
        self.process = subprocess.Popen([MOONPOST, "tail", "--data", host.data, *args], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=clean_env(),
                                        cwd=host.folder)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.decode().rstrip("\n"))

    def wait(self, pattern):
        return eventually(lambda: next((line for line in self.lines if re.search(pattern, line)), None),
                          f"a line {pattern}, have {self.lines}")

    def stop(self, sig=signal.SIGINT):
        self.process.send_signal(sig)
        status = self.process.wait(TIMEOUT_S)
        self.reader.join(TIMEOUT_S)
        self.process.stdout.close()
        self.process.stderr.close()
        return status


def followed(host, tail, **fields):
    """Deliver until the tail has seen one: it may not have begun to follow before."""
    def check():
        delivery = host.deliver("issue", envelope(**issue(**fields))).json["id"]
        try:
            eventually(lambda: any(re.search(rf"delivery\W+.*\b{delivery}\b", line) for line in tail.lines), "seen", 1)
            return delivery
        except AssertionError:
            return None
    return eventually(check, "the tail follows")


def test_tail_follows(host):
    tail = Tail(host)
    delivery = followed(host, tail)
    tail.wait(rf"^\d\d:\d\d:\d\d\.\d{{3}} delivery {delivery} issue created pending$")
    tail.wait(rf" job {delivery} triage on_issue running$")
    tail.wait(rf" job {delivery} triage on_issue done$")
    dead = host.deliver("issue", envelope(**issue(level="fatal"))).json["id"]
    line = tail.wait(rf" job {dead} triage on_issue dead: .*cannot do\\x0afatal ones \\x1b\[31m$")
    assert "\x1b" not in line
    host.write("new.lua", "function on_comment() end")
    tail.wait(r" script new loaded$")
    assert tail.stop() == 0


def test_tail_goes_on_after_a_restart(tmp_path):
    address = free_address()
    host = Host(tmp_path, "--console", address, wait=False)
    host.write("a.lua", "function on_issue() end")
    with host.start():
        tail = Tail(host, "--json", "--console", address)
        followed(host, tail)
        host.stop()
        host.start()
        delivery = followed(host, tail)
        line = tail.wait(rf'"job".*"delivery":"{delivery}".*"done"')
        event = json.loads(line)
        assert event["event"] == "job" and event["data"]["script"] == "a"
        for line in tail.lines:
            assert set(json.loads(line)) == {"event", "data"}
        assert tail.stop(signal.SIGTERM) == 0


def test_tail_ends_when_its_host_does_not_come_back(host):
    tail = Tail(host)
    followed(host, tail)
    host.stop()
    assert tail.process.wait(TIMEOUT_S) == 3
    assert b"nobody listens" in tail.process.stderr.read()
    tail.reader.join(TIMEOUT_S)
    tail.process.stdout.close()
    tail.process.stderr.close()
