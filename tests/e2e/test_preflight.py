"""--preflight: what a saved script has to stand before it is served."""

import json
import os
import subprocess

import pytest

from conftest import MOONPOST, clean_env
from host import Host, eventually
from test_handlers import envelope

VERSION = 'function on_event(event) log.info("ran", { v = %d, n = event.data.n }) end\n'

# It holds while the version is at least %d.
TEST = """\
local testing = require "testing"
function test_a() end
function test_version()
  local run = testing.load("a"):deliver("thing", '{"data":{"n":1}}')
  testing.is_true(run.log[1].fields.v >= %d)
end
"""


@pytest.fixture
def host(tmp_path):
    host = Host(tmp_path, "--preflight", "test", wait=False)
    host.write("a.lua", VERSION % 1)
    host.write("a_test.lua", TEST % 1)
    with host.start():
        yield host


def version_of(host, n):
    assert host.deliver("thing", envelope(n=n)).status == 200
    return host.log(msg="ran", n=n)["v"]


def becomes(host, want, first):
    n = first

    def check():
        nonlocal n
        n += 1
        return version_of(host, n) == want

    eventually(check, f"version {want} is live")


def script(host):
    return next(s for s in host.api("scripts")["scripts"] if s["name"] == "a")


def test_a_version_whose_tests_fail_is_not_served(host):
    assert version_of(host, 0) == 1
    host.write("a_test.lua", TEST % 2)
    host.write("a.lua", VERSION % 2)
    becomes(host, 2, 0)
    assert not host.logged(msg="script failed to load")

    host.write("a.lua", VERSION % 0)
    line = host.log(level="error", script="a", msg="script failed its tests", serving=script(host)["version"])
    assert line["error"] == (f"its test test_version fails: {host.scripts}/a_test.lua:5: "
                             "expected a true value, got false")
    assert script(host)["state"] == "failed" and script(host)["error"] == line["error"]
    assert version_of(host, 500) == 2
    host.write("a.lua", VERSION % 3)
    becomes(host, 3, 1000)
    eventually(lambda: script(host)["state"] == "loaded", "the error is gone")
    assert script(host)["error"] is None


def test_saving_only_the_test_runs_it_again(host):
    assert version_of(host, 0) == 1
    loaded = len(host.logged(msg="script loaded"))
    host.write("a_test.lua", TEST % 2)
    host.log(level="error", msg="script failed its tests")
    assert version_of(host, 1) == 1
    host.write("a_test.lua", TEST % 1)
    eventually(lambda: script(host)["state"] == "loaded", "the error is gone")
    assert len(host.logged(msg="script loaded")) == loaded, "it goes on as it is"
    assert version_of(host, 2) == 1

    host.write("a_test.lua", "function test_broken(")
    host.log(level="error", msg="script failed its tests", count=2)
    line = host.logged(level="error", msg="script failed its tests")[-1]
    assert line["error"].startswith("its tests cannot be run: ") and "scripts/a_test.lua:1: " in line["error"]
    os.unlink(os.path.join(host.scripts, "a_test.lua"))
    eventually(lambda: script(host)["state"] == "loaded", "without tests it is good")


def test_tests_delay_no_delivery_and_one_that_hangs_fails(host):
    assert version_of(host, 0) == 1
    host.write("a_test.lua", """
function test_for_ever()
  local t = require("testing").load "a"
  while true do t:deliver("thing", '{"data":{"n":1}}') end
end
""")
    host.write("a.lua", VERSION % 2)
    for n in range(1, 40):
        assert version_of(host, n) == 1
    line = host.log(level="error", msg="script failed its tests")
    assert "did not end within 10 s" in line["error"]
    assert not host.logged(msg="worker killed")
    host.write("a_test.lua", "function test_loop() while true do end end")
    eventually(lambda: "CPU limit of 1s exceeded" in script(host)["error"], "a loop fails")


def test_a_newer_save_wins_over_tests_that_run(host):
    host.write("a_test.lua", """
function test_slow()
  local t = require("testing").load "a"
  for _ = 1, 2000 do t:deliver("thing", '{"data":{"n":1}}') end
end
""")
    host.write("a.lua", VERSION % 2)
    host.write("a_test.lua", TEST % 1)
    host.write("a.lua", VERSION % 3)
    becomes(host, 3, 1)
    assert version_of(host, 900) == 3


def test_at_a_start_the_last_good_version_serves(tmp_path):
    host = Host(tmp_path, "--preflight", "test", wait=False)
    host.write("a.lua", VERSION % 1)
    host.write("a_test.lua", TEST % 1)
    with host.start():
        assert version_of(host, 0) == 1
    host.write("a.lua", VERSION % 0)
    with host.start():
        host.log(level="error", msg="script failed its tests")
        assert version_of(host, 1) == 1


@pytest.mark.parametrize("level", ["off", "load"])
def test_without_it_tests_are_not_looked_at(tmp_path, level):
    host = Host(tmp_path, "--preflight", level, wait=False)
    host.write("a.lua", VERSION % 1)
    host.write("a_test.lua", TEST % 2)
    with host.start():
        assert version_of(host, 0) == 1
        host.write("a.lua", VERSION % 5)
        becomes(host, 5, 0)
        host.write("a.lua", "this is no Lua")
        line = host.log(level="error", script="a", msg="script failed to load")
        assert "scripts/a.lua:1:" in line["error"]
        assert version_of(host, 500) == 5
        host.write("b.lua", 'function on_issue() end alert_action { title = "A", fields = '
                            '{ { name = "a", label = "A", type = "text", required = true } } }')
        host.log(msg="script loaded", script="b")
        host.write("c.lua", 'alert_action { title = "B", fields = '
                            '{ { name = "a", label = "A", type = "text", required = true } } }')
        assert "b.lua" in host.log(level="error", script="c")["error"]


def test_in_dev_mode_tests_count(tmp_path):
    for options, level in (((), "load"), (("--dev",), "test")):
        host = Host(tmp_path / level, *options, wait=False)
        host.write("a.lua", VERSION % 1)
        host.write("a_test.lua", TEST % 2)
        with host.start():
            if level == "load":
                assert version_of(host, 0) == 1
            else:
                assert host.log(level="error", msg="script failed its tests")["script"] == "a"


def test_the_command_shows_it(host):
    assert version_of(host, 0) == 1
    host.write("a_test.lua", TEST % 2)
    host.log(level="error", msg="script failed its tests")
    r = subprocess.run([MOONPOST, "scripts", "--console", f"127.0.0.1:{host.console_port}", "--data", host.data],
                       capture_output=True, env=clean_env(), cwd=host.folder)
    out = r.stdout.decode()
    assert "a_test.lua:5" in out, out + r.stderr.decode()
