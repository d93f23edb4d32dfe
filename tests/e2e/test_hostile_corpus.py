"""The corpus of hostile scripts, tests/hostile/NAME.lua: all of them in one host, beside healthy ones.

The header of each says what it is and how it must end:

    -- family: loops in C
    -- attack: one line about it
    -- expect: done | retry | dropped | killed | error "REGEX" | load error "REGEX" | reload error "REGEX" |
               reload done | reload error_in_run "REGEX"

A script that says `on_issue` or (those that speak to others) `on_comment` runs once, one that says `on_event` four
times.  In the text, @PEER@ is the address of a
peer, @PORT@ and @CONSOLE@ are moonpost's own ports, @CANARY@ is a file that nobody may read.  A script that logs
ESCAPED has found a way out.
"""

import glob
import json
import os
import re
import socket

import pytest

from host import ROOT, Host, eventually
from hostile_peer import HostilePeer
from test_handlers import envelope, issue

FOLDER = os.path.join(ROOT, "tests", "hostile")

# Planted where a script might look.
CANARIES = {
    "file": "file-canary-2b7e1516",
    "environment": "environment-canary-28aed2a6",
    "neighbour": "neighbour-canary-abf71588",
    "other integration": "other-canary-09cf4f3c",
}
OWN = "own-canary-51c0ffee"

HEALTHY = """
function on_event(event)
  assert(("abc"):rep(2) == "abcabc" and json.decode('{"a":[1]}').a[1] == 1 and table.concat({ 1, 2 }) == "12")
  log.info("healthy", { resource = event.resource, n = event.data.n })
end
"""
NEIGHBOUR = 'NEIGHBOUR_SECRET = "%s"\nfunction on_event(event) NEIGHBOUR_SECRET = NEIGHBOUR_SECRET log.info("neighbour") end\n'
GOOD = "function on_issue(event) log.info('good') end\n"

FAMILIES = {"loops in Lua", "loops in C", "garbage collector", "C stack", "memory of Lua", "memory of C", "descriptors",
            "lookups that hang", "floods", "escapes", "at load time", "during reload"}

FINAL = ("done", "dead", "dropped")


class Case:
    def __init__(self, path):
        self.name = os.path.basename(path)[:-4]
        with open(path, "rb") as f:
            self.source = f.read()
        head = dict(re.findall(r"-- (family|attack|expect): (.*?)(?= -- |\n|$)", self.source[:2000].decode("utf-8", "replace")))
        self.family, self.expect = head["family"], head["expect"]
        word, _, text = self.expect.partition('"')
        self.outcome, self.pattern = word.strip(), text.rstrip('"')

    def text(self, host, peer):
        return (self.source.replace(b"@PEER@", peer.url.encode()).replace(b"@CANARY@", host.canary.encode())
                .replace(b"@PORT@", str(host.port or 0).encode()).replace(b"@CONSOLE@", str(host.console_port or 0).encode()))


CASES = {case.name: case for case in map(Case, sorted(glob.glob(FOLDER + "/*.lua")))}


def blackhole(folder):
    """A DNS server that never answers, if one may be had; and the command that makes it everybody's."""
    if os.geteuid() != 0:
        return None, ()
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.153", 53))
    path = os.path.join(folder, "resolv.conf")
    with open(path, "w") as f:
        f.write("nameserver 127.0.0.153\noptions timeout:30 attempts:5\n")
    return server, ("unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', path)


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(p) for p in f.read().split()]


def files_of(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def listing(folder):
    return sorted(os.path.relpath(os.path.join(d, f), folder) for d, _, files in os.walk(folder) for f in files
                  if not d.startswith(os.path.join(folder, "data")))


class Corpus:
    """The host after all of it, and what it has told."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.resolver, prefix = blackhole(self.folder)
        host = Host(folder, "--workers", "2", "--cpu-limit", "200ms", "--memory-limit", "16MiB", "--handler-timeout", "3s",
                    "--retry-attempts", "1", "--allow-host", "127.0.0.1", "--concurrency", "8", prefix=prefix, wait=False,
                    env={"MOONPOST_CANARY": CANARIES["environment"], "OWN_TOKEN": OWN,
                         "OTHER__TOKEN": CANARIES["other integration"]})
        self.host = host
        host.canary = os.path.join(self.folder, "canary")
        with open(host.canary, "w") as f:
            f.write(CANARIES["file"])
        with open(os.path.join(host.scripts, "canary.txt"), "w") as f:
            f.write(CANARIES["file"])
        self.peer = HostilePeer()
        for k in range(2):
            host.write(f"healthy{k}.lua", HEALTHY)
        host.write("neighbour.lua", NEIGHBOUR % CANARIES["neighbour"])
        host.start()
        self.write()
        self.before = {"files": files_of(host.process.pid), "listing": listing(self.folder)}
        self.run()
        self.reload()
        self.run_again()
        self.look()

    def save(self, name, text):
        path = os.path.join(self.host.scripts, name + ".lua")
        with open(path + ".tmp~", "wb") as f:
            f.write(text)
        os.rename(path + ".tmp~", path)

    def write(self):
        for case in CASES.values():
            self.save(case.name, GOOD.encode() if case.outcome.startswith("reload") else case.text(self.host, self.peer))
        self.scripts = self.settled()

    def settled(self):
        """Every script of the corpus has been tried: what the console says of each."""
        answer = self.host.post("reload")
        assert len(answer["loaded"]) + len(answer["failed"]) >= len(CASES), answer
        return {s["name"]: s for s in self.host.api("scripts")["scripts"]}

    def deliver(self, resource, n, **data):
        answer = self.host.deliver(resource, envelope(n=n, **data))
        assert answer.status == 200, answer
        return answer.json["id"]

    def jobs(self, delivery):
        """The jobs of a delivery when all are over."""
        def over():
            found = self.host.api(f"deliveries/{delivery}")
            return found if all(j["state"] in FINAL for j in found["jobs"]) else None
        return {j["script"]: j for j in eventually(over, f"every job of {delivery} is over", patience=180, pause=0.1)["jobs"]}

    def run(self):
        """First offences: of those that speak to others when the rest have moved out of their way."""
        self.first = self.jobs(self.deliver("issue", 0, issue=issue()))
        self.calls = self.jobs(self.deliver("comment", 1, comment="x", project_slug="x", comment_id=1, issue_id=1,
                                            timestamp="2022-03-02T21:51:44.118160Z"))
        self.placed = {s["name"]: s for s in self.host.api("scripts")["scripts"]}

    def reload(self):
        for case in CASES.values():
            if case.outcome.startswith("reload"):
                self.save(case.name, case.text(self.host, self.peer))
        self.reloaded = self.settled()

    def run_again(self):
        self.things = [self.deliver("thing", n) for n in (2, 3)]
        self.again = [self.calls] + [self.jobs(id_) for id_ in self.things]
        self.first = {**self.calls, **self.first}

    def look(self):
        """What is left behind."""
        pid = self.host.process.pid
        eventually(lambda: self.peer.open <= 128 and self.peer.hanging == 0, "hanging connections are closed")
        self.after = {"files": files_of(pid), "listing": listing(self.folder), "children": children(pid)}
        self.states = {}
        for child in self.after["children"]:
            with open(f"/proc/{child}/stat") as f:
                self.states[child] = f.read().rsplit(")", 1)[1].split()[0]

    def close(self):
        try:
            code = self.host.stop()
        finally:
            self.peer.__exit__()
            if self.resolver is not None:
                self.resolver.close()
        return code


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    corpus = Corpus(tmp_path_factory.mktemp("hostile"))
    yield corpus
    if corpus.host.process is not None:
        corpus.close()


@pytest.mark.parametrize("name", CASES)
def test_ends_as_it_must(corpus, name):
    case = CASES[name]
    assert not corpus.host.logged(msg="ESCAPED", script=name)
    if case.outcome == "load error":
        script = corpus.scripts[name]
        assert script["state"] == "failed", script
        assert re.search(case.pattern, script["error"]), script["error"]
        return
    assert corpus.scripts[name]["state"] == "loaded", corpus.scripts[name]
    if case.outcome.startswith("reload"):
        assert corpus.first[name]["state"] == "done"
        script = corpus.reloaded[name]
        if case.outcome == "reload error":
            assert script["state"] == "failed" and re.search(case.pattern, script["error"]), script
            assert script["version"] == corpus.scripts[name]["version"]
        else:
            assert script["error"] is None and script["version"] != corpus.scripts[name]["version"], script
        return
    run = corpus.first[name]["runs"][-1]
    assert run["outcome"] == case.outcome, (run["outcome"], run["error"])
    if case.pattern:
        assert re.search(case.pattern, run["error"]), run["error"]
    assert not re.search("ESCAPED", run["error"] or ""), run["error"]
    # Every run says what it took, however it ended.
    assert run["duration_ms"] >= 0 and run["cpu_ms"] >= 0 and run["memory_bytes"] > 10_000, run
    if run["outcome"] == "killed" or "CPU limit" in (run["error"] or ""):
        assert run["cpu_ms"] >= 190 and run["duration_ms"] >= 150, run
    if "memory limit" in (run["error"] or ""):
        assert run["memory_bytes"] > 1_000_000, run
    if run["outcome"] == "killed" or "CPU limit" in (run["error"] or ""):
        assert corpus.placed[name]["slow"] is True
    for job in corpus.again:
        if name in job:
            again = job[name]["runs"][-1]
            assert again["outcome"] == case.outcome, again["error"]


def test_the_families_are_there():
    assert len(CASES) >= 60
    assert {case.family for case in CASES.values()} == FAMILIES


def test_healthy_scripts_are_served_beside_them(corpus):
    for name in ("healthy0", "healthy1", "neighbour"):
        assert corpus.placed[name]["slow"] is False
        for jobs in (corpus.first, *corpus.again):
            assert (jobs[name]["state"], jobs[name]["attempts"]) == ("done", 1), jobs[name]
            assert not jobs[name]["runs"][-1]["error"]


def test_no_delivery_was_refused_and_the_host_is_well(corpus):
    assert corpus.host.console("GET", "/healthz", token=False).status == 200
    assert corpus.host.request("GET", "/readyz").status == 200
    assert not corpus.host.logged(msg="the store refuses: no jobs are taken until it works")


def test_nothing_is_read_that_is_not_theirs(corpus):
    told = json.dumps([corpus.first, corpus.again, corpus.host.lines])
    for what, canary in CANARIES.items():
        assert canary not in told, what
    # Its own secret is known to it, and to nobody who reads.
    assert OWN not in told
    assert "b3duLWNhbmFyeS01MWMwZmZlZQ" not in told


def test_a_log_line_is_one_line_and_says_whose_it_is(corpus):
    assert not corpus.host.logged(msg="FORGED")
    assert not corpus.host.logged(level="error", script="healthy")
    assert not [line for line in corpus.host.lines if "raw" in line and "Sanitizer" not in line["raw"]]


def test_nothing_is_left_behind(corpus):
    assert corpus.after["files"] <= corpus.before["files"] + 8, (corpus.before["files"], corpus.after["files"])
    assert corpus.after["listing"] == corpus.before["listing"]
    # The spare, two workers, the slow lane: and none of them a zombie.
    assert len(corpus.after["children"]) == 4 and "Z" not in corpus.states.values(), corpus.states


def test_limits_on_what_a_run_keeps(corpus):
    run = corpus.first["flood_calls"]["runs"][-1]
    assert len(run["calls"]) == 200
    for name in ("flood_log", "flood_log_bytes", "flood_print"):
        assert len(corpus.first[name]["runs"][-1]["log"]) <= 1002
        assert len(json.dumps(corpus.first[name]["runs"][-1]["log"])) < 600_000


def test_it_stops_as_it_should(corpus):
    pids = children(corpus.host.process.pid)
    assert corpus.close() == 0
    eventually(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), "the workers are gone")
