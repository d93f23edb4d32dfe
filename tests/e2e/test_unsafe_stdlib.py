"""--unsafe-stdlib: one script has all of Lua, alone in a process outside of the wall, and still costs only itself."""

import glob
import os
import shutil

import pytest

from host import Host, eventually
from test_handlers import envelope

CJSON = sorted(glob.glob("/usr/lib/*/lua/5.4/cjson.so") + glob.glob("/usr/lib/lua/5.4/cjson.so"))

# What a sandboxed script sees of all this is told by test_no_other_script_has_it.
PROBE = """
function on_event(event)
  log.info("probe", { n = event.data.n, io = type(io), debug = type(debug), load = type(load), dofile = type(dofile),
    package = type(package), execute = type(os.execute), dump = type(string.dump), clock = type(os.clock) })
end
"""
ALL = {"io": "table", "debug": "table", "load": "function", "dofile": "function", "package": "table",
       "execute": "function", "dump": "function", "clock": "function"}
NOTHING = dict.fromkeys(ALL, "nil") | {"clock": "function"}


def start(tmp_path, scripts, *options, unsafe=("open",)):
    host = Host(tmp_path, *options, *[a for name in unsafe for a in ("--unsafe-stdlib", name)], wait=False)
    for name, source in scripts.items():
        host.write(name, source)
    return host.start()


def script(host, name):
    return {s["name"]: s for s in host.api("scripts")["scripts"]}[name]


def sees(line):
    return {k: line[k] for k in ALL}


def is_alive(pid):
    """A zombie is not: nobody but its parent has to do with it."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_it_reads_writes_and_runs_programs(tmp_path):
    with start(tmp_path, {"open.lua": f"""
local here = "{tmp_path}"
function on_event(event)
  local f = assert(io.open(here .. "/written", "w"))
  f:write("by a handler") f:close()
  local ok, how, status = os.execute("exit 7")
  local p = io.popen("env; echo; ls -l /proc/self/fd")
  local seen = p:read "a" p:close()
  log.info("did", {{ execute = tostring(ok) .. how .. status, load = load("return 6 * 7")(), seen = seen,
    dofile = dofile(here .. "/data.lua"), env = os.getenv "SENTRY_CLIENT_SECRET" or "none" }})
end
"""}) as host:
        (tmp_path / "data.lua").write_text("return 'from a file'")
        assert host.deliver("thing", envelope(n=1)).status == 200
        did = host.log(msg="did")
        assert (tmp_path / "written").read_text() == "by a handler"
        assert did["execute"] == "nilexit7"
        assert did["load"] == 42
        assert did["dofile"] == "from a file"
        assert did["env"] == "none"
        env, fds = did["seen"].split("\n\n")
        # What the shell sets by itself, what a sanitizer is told, and nothing else of the host's.
        assert {line.split("=")[0] for line in env.split("\n")} <= {"PWD", "OLDPWD", "SHLVL", "_", "PATH", "ASAN_OPTIONS",
                                                                    "UBSAN_OPTIONS"}, env
        assert "socket" not in fds and "memfd" not in fds and host.folder + "/data" not in fds, fds


@pytest.mark.skipif(not CJSON, reason="there is no C module at hand: lua-cjson is not installed")
def test_it_requires_c_modules(tmp_path):
    os.makedirs(tmp_path / "c")
    # What stands before a hyphen is no part of the name of the function that opens it.
    shutil.copy(CJSON[0], tmp_path / "c" / "v2-cjson.so")
    with start(tmp_path, {"open.lua": f"""
package.cpath = "{tmp_path}/c/?.so"
local cjson = require "v2-cjson"
local shared = require "shared"
function on_event(event)
  local found, why = pcall(require, "nowhere")
  log.info("did", {{ text = cjson.encode({{ 1, 2 }}), shared = shared.name, again = require "v2-cjson" == cjson,
    found = found, why = why }})
end
""", "lib/shared.lua": "return { name = 'a lib' }"}) as host:
        assert host.deliver("thing", envelope(n=1)).status == 200
        did = host.log(msg="did")
        assert (did["text"], did["shared"], did["again"], did["found"]) == ("[1,2]", "a lib", True, False)
        assert "module 'nowhere' not found" in did["why"]


def test_no_other_script_has_it_or_is_in_its_process(tmp_path):
    scripts = {"open.lua": PROBE, **{f"shut{k}.lua": PROBE for k in range(5)}}
    with start(tmp_path, scripts, "--workers", "2") as host:
        # Loads that go round and round place nothing there, either.
        for n in (1, 2):
            assert host.deliver("thing", envelope(n=n)).status == 200
            for name in scripts:
                line = host.log(msg="probe", n=n, script=name[:-4])
                assert sees(line) == (ALL if name == "open.lua" else NOTHING), line
            pids = {name: script(host, name[:-4])["pid"] for name in scripts}
            assert all(pids.values()), pids
            assert [name for name in scripts if pids[name] == pids["open.lua"]] == ["open.lua"]
            versions = {name: len(host.logged(msg="script loaded", script=name[:-4])) for name in scripts}
            for name in scripts:
                host.write(name, PROBE + f"-- {n}\n")
                host.log(count=versions[name] + 1, msg="script loaded", script=name[:-4])


def test_its_name_is_that_of_its_integration(tmp_path):
    os.makedirs(tmp_path / "other")
    (tmp_path / "other" / "open.lua").write_text(PROBE)
    (tmp_path / "moonpost.lua").write_text(
        'return { integrations = { ext = { client_secret = "ext-secret", scripts = "%s/other" } } }' % tmp_path)
    with start(tmp_path, {"open.lua": PROBE}, "--config", str(tmp_path / "moonpost.lua"), unsafe=("ext/open",)) as host:
        assert host.deliver("thing", envelope(n=1)).status == 200
        assert host.deliver("thing", envelope(n=2), path="/i/ext/webhook", secret="ext-secret").status == 200
        assert sees(host.log(msg="probe", n=1)) == NOTHING
        assert sees(host.log(msg="probe", n=2)) == ALL


def test_the_host_says_so(tmp_path, moonpost):
    with start(tmp_path, {"open.lua": PROBE, "shut.lua": PROBE}, unsafe=("open", "opne", "none/open")) as host:
        assert "without the sandbox" in host.log(level="warn", option="unsafe-stdlib", script="open")["msg"]
        assert "--unsafe-stdlib" in host.log(level="warn", msg="script runs without the sandbox", script="open")["why"]
        assert not host.logged(msg="script runs without the sandbox", script="shut")
        missing = [line for line in host.lines if "not there" in line.get("msg", "")]
        assert [(line["script"], line.get("did_you_mean")) for line in missing] == [("opne", "open")]
        assert host.logged(level="warn", script="none/open", integration="none")
        assert [(s["name"], s["unsafe_stdlib"]) for s in host.api("scripts")["scripts"]] == [
            ("open", True), ("shut", False)]
        shown = moonpost("scripts", "--console", f"127.0.0.1:{host.console_port}", "--data", host.data)
        assert shown.status == 0, shown
        rows = {line.split()[0]: line for line in shown.out.splitlines() if line}
        assert "unsafe stdlib" in rows["open"] and "unsafe stdlib" not in rows["shut"], shown


def test_one_that_comes_later_is_open_from_its_first_load(tmp_path):
    with start(tmp_path, {"shut.lua": PROBE}) as host:
        host.write("open.lua", "assert(io.open('/etc/hostname'))\n" + PROBE)
        host.log(msg="script runs without the sandbox", script="open")
        assert host.deliver("thing", envelope(n=1)).status == 200
        assert sees(host.log(msg="probe", script="open")) == ALL
        assert sees(host.log(msg="probe", script="shut")) == NOTHING
        assert not host.logged(msg="script failed to load")


def test_a_reload_keeps_it_open_and_a_bad_version_changes_nothing(tmp_path):
    with start(tmp_path, {"open.lua": "version = 1\n" + PROBE}) as host:
        pid = script(host, "open")["pid"]
        host.write("open.lua", "version = 2\nassert(io.open('/dev/null'))\n" + PROBE)
        host.log(count=2, msg="script loaded", script="open")
        # Its spare is its own: what one does at the top level meets nobody else, not even itself.
        host.write("open.lua", "os.exit(3)")
        assert "ended with status 3" in host.log(msg="script failed to load", script="open")["error"]
        host.post("reload")
        assert host.deliver("thing", envelope(n=1)).status == 200
        assert sees(host.log(msg="probe", n=1)) == ALL
        assert script(host, "open")["pid"] == pid


def test_its_limits_stay(tmp_path):
    with start(tmp_path, {"open.lua": """
function on_event(event)
  if event.attempt > 1 then log.info("again", { n = event.data.n }) return end
  if event.data.n == 1 then while true do end end
  if event.data.n == 2 then local t = {} while true do t[#t + 1] = ("x"):rep(1e6) end end
  if event.data.n == 3 then debug.sethook() pcall(function() while true do end end) end
  if event.data.n == 4 then sleep(20) end
end
"""}, "--cpu-limit", "200ms", "--memory-limit", "16MiB", "--handler-timeout", "1s", "--retry-base", "100ms") as host:
        for n, why in ((1, "CPU"), (2, "memory"), (3, ""), (4, "sleep is longer")):
            assert host.deliver("thing", envelope(n=n)).status == 200
            host.log(msg="again", n=n)
            assert why in host.logged(msg="handler failed", script="open")[-1]["error"]
        # It is slow, and alone all the same.
        assert not host.logged(msg="script moves to the slow lane")
        assert not script(host, "open")["slow"]


def test_three_crashes_in_a_row_park_it_alone(tmp_path):
    with start(tmp_path, {"open.lua": f"""
function on_event(event)
  if event.data.n == 1 then
    os.execute("sleep 600 >/dev/null & echo $! > {tmp_path}/child." .. event.attempt)
    os.exit(9)
  end
  log.info("healthy", {{ n = event.data.n }})
end
""", "shut.lua": PROBE}, "--retry-base", "100ms") as host:
        shut = script(host, "shut")["pid"]
        assert host.deliver("thing", envelope(n=1)).status == 200
        parked = host.log(msg="script parked", script="open")
        assert "3 times in a row" in parked["error"]
        assert script(host, "open")["state"] == "parked"
        # Others have not noticed.
        assert script(host, "shut")["pid"] == shut
        assert sees(host.log(msg="probe", script="shut", n=1)) == NOTHING
        # What it has started went with its worker.
        children = [int((tmp_path / f"child.{k}").read_text()) for k in (1, 2, 3)]
        eventually(lambda: not any(map(is_alive, children)), f"the end of {children}")
        host.write("open.lua", 'function on_event(event) log.info("healthy", { io = type(io) }) end')
        assert host.log(msg="healthy")["io"] == "table"


def test_one_whose_process_crashes_while_nothing_of_it_runs_is_parked_too(tmp_path):
    """As by a thread of a C module: whoever is alone there is to blame."""
    with start(tmp_path, {"shut.lua": PROBE}) as host:
        host.write("open.lua", "os.execute '(sleep 0.1; kill -SEGV $PPID) &'\nfunction on_event() end")
        assert "crashed" in host.log(msg="script parked", script="open")["error"]
        assert host.deliver("thing", envelope(n=1)).status == 200
        assert sees(host.log(msg="probe", script="shut", n=1)) == NOTHING


def test_what_it_starts_ends_with_the_host(tmp_path):
    with start(tmp_path, {"open.lua": f"""
function on_event(event) os.execute("sleep 600 & echo $! > {tmp_path}/child") log.info("started") end
"""}) as host:
        assert host.deliver("thing", envelope(n=1)).status == 200
        host.log(msg="started")
        child = int((tmp_path / "child").read_text())
        assert is_alive(child)
    eventually(lambda: not is_alive(child), "the end of what it had started")


def test_its_tests_run_outside_of_the_wall_too(tmp_path):
    with start(tmp_path, {"open.lua": "assert(io.open('/dev/null'))\n" + PROBE, "shut.lua": PROBE,
                          "open_test.lua": f"""
local testing = require "testing"
function test_all_of_it()
  local f = assert(io.open("{tmp_path}/ran", "a")) f:write("x") f:close()
  testing.equal(testing.load("open"):deliver("issue.created").log[1].fields.io, "table")
  testing.equal(testing.load("shut"):deliver("issue.created").log[1].fields.io, "nil")
end
"""}, "--preflight", "test") as host:
        assert not host.logged(msg="script failed its tests")
        assert (tmp_path / "ran").read_text() == "x"
        host.write("open.lua", "-- none\n")
        assert "test_all_of_it" in host.log(msg="script failed its tests", script="open")["error"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "scripts" / "lib").mkdir(parents=True)
    (tmp_path / "scripts" / "open.lua").write_text("""
local shared = require "shared"
assert(io.open("/dev/null"))
function on_issue(event) os.execute(shared.command) debug.traceback() load("return 1")() package.loaded.x = 1 end
""")
    (tmp_path / "scripts" / "lib" / "shared.lua").write_text("return { command = 'true' }")
    return tmp_path


def test_check_knows_what_it_has(folder, moonpost):
    shut = moonpost("check")
    assert shut.status == 1 and "undefined global 'io'" in shut.out, shut
    good = moonpost("check", "--unsafe-stdlib", "open")
    assert good.status == 0 and "good" in good.out, good
    (folder / "scripts" / "open.lua").open("a").write("function on_error() io.opne() end\n")
    (folder / "scripts" / "shut.lua").write_text("function on_issue() io.open('x') end\n")
    bad = moonpost("check", "--unsafe-stdlib", "open")
    assert bad.status == 1, bad
    assert "io.opne" in bad.out and "did you mean" in bad.out and "undefined global 'load'" not in bad.out, bad
    assert "shut.lua:1: undefined global 'io'" in bad.out, bad


def test_check_and_ui_schema_take_it_from_the_environment_and_the_file(folder, moonpost):
    assert moonpost("check", env={"MOONPOST_UNSAFE_STDLIB": "other,open"}).status == 0
    (folder / "moonpost.lua").write_text('return { unsafe_stdlib = { "open" } }')
    assert moonpost("check").status == 0
    assert moonpost("ui-schema").status == moonpost("ui-schema", "--unsafe-stdlib", "open").status


def test_test_runs_it(folder, moonpost):
    (folder / "scripts" / "open_test.lua").write_text("""
local testing = require "testing"
function test_it() testing.equal(testing.load("open"):deliver("issue.created").outcome, "done") end
""")
    assert moonpost("test").status == 1
    good = moonpost("test", "--unsafe-stdlib", "open")
    assert good.status == 0 and "1 passed, 0 failed" in good.out, good
