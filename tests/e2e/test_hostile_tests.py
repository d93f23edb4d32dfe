"""`moonpost test` and `moonpost check` run strangers' code, too: behind the same wall, under the same limits, with an end."""

import glob
import os
import re
import subprocess
import time

import pytest

from conftest import MOONPOST, clean_env
from host import ROOT, eventually

CORPUS = sorted(glob.glob(os.path.join(ROOT, "tests", "hostile", "*.lua")))
CANARY = "file-canary-9d1c20"
LIMITS = ("--cpu-limit", "200ms", "--memory-limit", "16MiB")
HEAD = 'local testing = require "testing"\n'


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "scripts" / "lib").mkdir(parents=True)
    (tmp_path / "canary").write_text(CANARY)
    (tmp_path / "canary.lua").write_text(f"error '{CANARY}'")

    def write(**files):
        for name, source in files.items():
            (tmp_path / "scripts" / f"{name}.lua").write_text(source)

    return write


def results(r):
    """How each test ended, by name."""
    return {m[2]: m[1] == "ok" for m in re.finditer(r"^(ok|not ok) \d+ - \S+ (\S+)$", r.out, re.M)}


# ---- the corpus that a host stands, loaded and run without one ---------------------------------------------------------
@pytest.fixture
def corpus(folder, tmp_path):
    names = []
    for path in CORPUS:
        with open(path, "rb") as f:
            text = f.read()
        for mark, value in ((b"@CANARY@", str(tmp_path / "canary").encode()), (b"@PEER@", b"http://127.0.0.1:9"),
                            (b"@PORT@", b"9"), (b"@CONSOLE@", b"9")):
            text = text.replace(mark, value)
        names.append(os.path.basename(path)[:-4])
        (tmp_path / "scripts" / f"{names[-1]}.lua").write_bytes(text)
    return names


def test_check_ends_on_every_hostile_script(corpus, moonpost):
    r = moonpost("check", *LIMITS, timeout=240)
    assert r.status == 1 and r.err == "", r
    assert f"{len(corpus)} scripts, " in r.out.splitlines()[-1], r
    for name, why in (("load_loop", "CPU limit of 200ms exceeded"), ("load_memory", "memory limit of 16MiB exceeded"),
                      ("load_nested", "C stack overflow"), ("load_pattern", "CPU limit of 200ms exceeded")):
        assert re.search(rf"^scripts/{name}\.lua.*{why}$", r.out, re.M), why
    assert CANARY not in r.out


def test_test_ends_on_every_hostile_script(corpus, folder, moonpost):
    folder(all_test=HEAD + """
local function run(name)
  local t = testing.load(name)
  for _, event in ipairs { "issue.created", "comment.created" } do
    for _, line in ipairs(t:deliver(event).log) do
      testing.is_true(not line.message:find "ESCAPED", "it has escaped")
    end
  end
end
""" + "".join(f"function test_{name}() run '{name}' end\n" for name in corpus))
    r = moonpost("test", *LIMITS, timeout=240)
    ended = results(r)
    assert r.status == 1 and r.err == "", r
    assert sorted(ended) == sorted(f"test_{name}" for name in corpus)
    passed = sum(ended.values())
    assert r.out.endswith(f"\n{passed} passed, {len(ended) - passed} failed\n")
    assert "it has escaped" not in r.out and CANARY not in r.out
    # Those that do no harm but to themselves have run: it is no wall of failures that is looked at here.
    assert passed > len(corpus) // 2


# ---- hostile tests --------------------------------------------------------------------------------------------------
ENDS = {
    "loops": ("while true do end", "CPU limit of 200ms exceeded"),
    "swallows": ("while true do pcall(function() while true do end end) end", "CPU limit of 200ms exceeded"),
    "closes": ("local c <close> = setmetatable({}, { __close = function() while true do end end })", "CPU limit of 200ms exceeded"),
    "in_coroutine": ("coroutine.wrap(function() while true do end end)()", "CPU limit of 200ms exceeded"),
    "sorts": ("table.sort({ 3, 2, 1 }, function() while true do end end)", "CPU limit of 200ms exceeded"),
    "moves": ("table.move({}, 1, 1 << 60, 2)", "CPU limit of 200ms exceeded"),
    "matches": ("local _ = (('a'):rep(400)):find('.-.-.-b$')", "CPU limit of 200ms exceeded"),
    "eats": ("local t = {} while true do t[#t + 1] = ('x'):rep(1e6) .. #t end", "memory"),
    "doubles": ("local s = 'x' while true do s = s .. s end", "memory"),
    "recurses": ("local function f() return 1 + f() end f()", "memory"),
    "encodes": ("local t = {} t.t = t json.encode(t)", "it contains itself"),
}


@pytest.mark.parametrize("where", ["test", "file"])
def test_a_hostile_test_ends_within_its_limits(folder, moonpost, where):
    """In the test, and at the top level of its file."""
    if where == "test":
        folder(x_test="".join(f"function test_{name}() {source} end\n" for name, (source, _) in ENDS.items())
               + "function test_good() end\n")
    else:
        folder(good_test="function test_good() end\n", **{
            f"{name}_test": f"do {source} end\nfunction test_{name}() end\n" for name, (source, _) in ENDS.items()})
    begun = time.monotonic()
    r = moonpost("test", *LIMITS)
    assert time.monotonic() - begun < 20
    assert r.status == 1 and r.err == "", r
    assert r.out.endswith(f"1 passed, {len(ENDS)} failed\n"), r
    for name, (_, why) in ENDS.items():
        mark = rf"test_{name}" if where == "test" else rf"scripts/{name}_test\.lua"
        told = re.search(rf"^not ok \d+ - .*{mark}.*\n((?:# .*\n)+)", r.out, re.M)
        assert told is not None and why in told[1], (name, r.out)


def test_what_a_test_tries_to_read(folder, moonpost, tmp_path):
    """Every way to a file that Lua, moonpost or a library would have: none leads there."""
    folder(on_issue="function on_issue() end", x_test=HEAD + f"""
local path = "{tmp_path}/canary"
local function shut(...) testing.is_true(not pcall(...), "it is open") end
function test_globals()
  for _, name in ipairs {{ "io", "debug", "package", "load", "loadfile", "dofile", "loadstring" }} do
    testing.equal(_G[name], nil)
    testing.equal(rawget(_G, name), nil)
    testing.equal(getmetatable(_G), nil)
  end
  for _, name in ipairs {{ "execute", "getenv", "remove", "rename", "tmpname", "exit" }} do testing.equal(os[name], nil) end
  testing.equal(string.dump, nil)
end
function test_require()
  for _, name in ipairs {{ path, "../../canary", "../canary", "canary", "io", "debug", "package", "_G", "testing.core",
                          "/etc/passwd", "x_test", "on_issue" }} do shut(require, name) end
end
function test_load()
  for _, name in ipairs {{ path, "../canary", "../../canary", "x_test", "/etc/passwd", "" }} do shut(testing.load, name) end
end
function test_http()
  for _, url in ipairs {{ "file://" .. path, "FILE:" .. path, "gopher://localhost/", "ftp://localhost/" }} do
    local ok, res = pcall(http.get, url)
    testing.is_true(not ok or res == nil, "it is open")
  end
end
function test_methods_of_strings()
  testing.equal(getmetatable(""), false)
  shut(setmetatable, "", {{}})
  testing.equal(("x").dump, nil)
end
function test_what_testing_has()
  for name, value in pairs(testing) do
    testing.is_true(type(name) == "string" and (type(value) == "function" or type(value) == "table"), name)
  end
  shut(function() testing.load = nil end)
end
""")
    r = moonpost("test", *LIMITS, env={"CANARY": CANARY})
    assert CANARY not in r.out + r.err
    assert r.status == 0 and "6 passed, 0 failed" in r.out, r


def workers(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(child) for child in f.read().split()]


def status(pid):
    """What the kernel says of a worker, once it runs strangers' code; None before that."""
    try:
        with open(f"/proc/{pid}/status") as f:
            found = dict(line.split(":\t", 1) for line in f.read().splitlines() if ":\t" in line)
    except (FileNotFoundError, ProcessLookupError):
        return None
    return found if found["Name"] == "moonpost-worker" and found["Seccomp"] != "0" else None


@pytest.mark.parametrize("command", ["test", "check"])
def test_the_wall_is_up_while_strangers_code_runs(folder, tmp_path, command):
    """Seen from outside, at a loop that does not end by itself."""
    folder(x="function on_issue() end" if command == "test" else "while true do end",
           x_test="function test_loop() while true do end end")
    process = subprocess.Popen([MOONPOST, command, "--cpu-limit", "60s", "--json"], cwd=tmp_path, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, env=clean_env(CANARY=CANARY))
    try:
        seen = eventually(lambda: next(filter(None, map(status, workers(process.pid))), None), "a worker behind its wall")
        assert seen["Seccomp"] == "2" and seen["NoNewPrivs"] == "1", seen
        pid = int(seen["Pid"])
        if os.geteuid() == 0:
            with open(f"/proc/{pid}/environ", "rb") as f:
                assert CANARY.encode() not in f.read()
            files = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
            assert not [f for f in files if f.startswith("/") and f != "/dev/null" and "memfd" not in f], files
        with open(f"/proc/{pid}/limits") as f:
            limits = f.read()
        assert re.search(r"Max core file size +0 +0", limits), limits
    finally:
        process.kill()
        process.wait()
    # Nobody is left who goes on looping.
    eventually(lambda: status(pid) is None, "the end of the worker")
