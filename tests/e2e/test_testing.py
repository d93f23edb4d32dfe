"""moonpost test: what it prints, how it fails, and what a test cannot do."""

import json
import re
import time

import pytest


@pytest.fixture
def folder(tmp_path):
    d = tmp_path / "scripts"
    d.mkdir()

    def write(**files):
        for name, source in files.items():
            path = d / (name.replace("__", "/") + ".lua")
            path.parent.mkdir(exist_ok=True)
            path.write_text(source)
        return d

    return write


JIRA = """\
function on_issue(event)
  local key = step("jira", function()
    local res = assert(http.post(secret "JIRA_URL", { json = { title = event.data.issue.title } }))
    if res.status >= 500 then error("jira is down: " .. res.status) end
    return res:json().key
  end)
  sleep(20)
  log.info("linked", { ticket = key })
end
"""

HEAD = 'local testing = require "testing"\n'

LOADED = HEAD + """\
local function jira()
  local t = testing.load "on_issue"
  t:secret("JIRA_URL", "https://jira.example/rest")
  return t
end
"""


def test_the_example_of_the_reference(moonpost, folder):
    folder(on_issue=JIRA, on_issue_test=LOADED + """
function test_opens_one_ticket()
  local t = jira()
  t:http("POST", "https://jira.example/*", { status = 201, json = { key = "OPS-1" } })
  local run = t:deliver("issue.created", { data = { issue = { level = "fatal" } } })
  testing.equal(run.outcome, "done")
  testing.equal(#run.calls, 1)
  testing.equal(run.duration, 20)
  local again = t:redeliver(run)
  testing.equal(again.outcome, "done")
  testing.equal(again.attempt, 2)
  testing.equal(#again.calls, 0)
  testing.equal(again.steps.jira, "OPS-1")
  t:advance(3600)
end
""")
    begun = time.monotonic()
    r = moonpost("test")
    assert r.status == 0, r
    assert r.out == ("TAP version 13\n1..1\n"
                     "ok 1 - scripts/on_issue_test.lua:8 test_opens_one_ticket\n"
                     "1 passed, 0 failed\n")
    assert r.err == ""
    assert time.monotonic() - begun < 20, "sleep(20) is not slept"


def test_a_failure_names_its_line_and_what_happened(moonpost, folder):
    folder(on_issue=JIRA, on_issue_test=LOADED + """
function test_a()
  local t = jira()
  t:http("POST", "https://jira.example/*", { status = 503 })
  local run = t:deliver("issue.created")
  testing.equal(run.outcome, "done")
end
function test_b() end
""")
    r = moonpost("test")
    assert r.status == 1
    assert r.out == """\
TAP version 13
1..2
not ok 1 - scripts/on_issue_test.lua:8 test_a
# scripts/on_issue_test.lua:12: expected "done", got "error"
# on_issue.on_issue(issue.created), attempt 1: error
#   scripts/on_issue.lua:4: jira is down: 503
#   POST https://jira.example/rest -> 503
ok 2 - scripts/on_issue_test.lua:14 test_b
1 passed, 1 failed
"""


def test_a_request_that_nobody_expected(moonpost, folder):
    folder(on_issue=JIRA, on_issue_test=LOADED + """
function test_none() jira():deliver("issue.created", { data = { issue = { title = "T" } } }) end
function test_another()
  local t = jira()
  t:http("GET", "https://jira.example/first")
  pcall(t.deliver, t, "issue.created")
end
""")
    r = moonpost("test")
    assert r.status == 1
    assert ("# scripts/on_issue_test.lua:8: on_issue made a request that nobody expected: "
            "POST https://jira.example/rest\n"
            '#   {"title":"T"}\n') in r.out
    assert "#   expected next: GET https://jira.example/first (scripts/on_issue_test.lua:11)\n" in r.out
    assert "0 passed, 2 failed" in r.out, "also where a pcall swallowed the failure"


def test_an_expectation_that_is_never_met(moonpost, folder):
    folder(on_issue="function on_issue() end", on_issue_test=LOADED + """
function test_it()
  local t = jira()
  t:http("POST", "https://jira.example/*", nil, { times = 2 })
  t:deliver("issue.created")
end
""")
    r = moonpost("test")
    assert r.status == 1
    assert ("# scripts/on_issue_test.lua:10: on_issue never made the request that was expected: "
            "POST https://jira.example/* (0 of 2 times)\n") in r.out


def test_a_body_that_sentry_does_not_send(moonpost, folder):
    folder(on_issue="function on_issue() end", on_issue_test=LOADED + """
function test_strict() jira():deliver("issue.created", { data = { issue = { level = "fatall" } } }) end
function test_off() jira():deliver("issue.created", { data = { issue = { level = "x" } } }, { validation = "off" }) end
function test_unknown() jira():deliver "issue.craeted" end
""")
    r = moonpost("test")
    assert "# scripts/on_issue_test.lua:8: Sentry does not send this: /data/issue/level: must be one of" in r.out
    assert 'did you mean "fatal"?' in r.out
    assert "ok 2 - " in r.out and "not ok 2" not in r.out
    assert re.search(r"# scripts/on_issue_test.lua:10: .*craeted.*did you mean .*created", r.out)


def test_a_secret_that_was_not_given(moonpost, folder):
    folder(on_issue=JIRA, on_issue_test=HEAD + """
function test_it() testing.equal(testing.load("on_issue"):deliver("issue.created").outcome, "done") end
""")
    r = moonpost("test", env={"JIRA_URL": "https://real.example/"})
    assert r.status == 1
    assert 'no secret JIRA_URL: give it to the script under test by t:secret("JIRA_URL", value)' in r.out
    assert "real.example" not in r.out


@pytest.mark.parametrize("source, message", [
    ("function on_issue( end", "scripts/on_issue.lua:1: "),
    ("local x = nil; x.y = 1", "scripts/on_issue.lua:1: attempt to index a nil value"),
    ("while true do end", "CPU limit of 1s exceeded"),
])
def test_a_script_that_does_not_load(moonpost, folder, source, message):
    folder(on_issue=source, on_issue_test=HEAD + """
function test_it() testing.load("on_issue"):deliver("issue.created") end
""")
    r = moonpost("test")
    assert r.status == 1
    assert "# scripts/on_issue_test.lua:3: on_issue does not load: " in r.out and message in r.out


def test_a_script_that_is_not_there(moonpost, folder):
    folder(on_issue="", on_issue_test=HEAD + 'function test_it() testing.load "on_isue" end')
    r = moonpost("test")
    assert 'there is no script "on_isue" beside this test; did you mean "on_issue"?' in r.out


def test_a_file_that_does_not_load_and_one_without_tests(moonpost, folder):
    folder(a_test="function test_a(", b_test="local function test_b() end", c_test="function test_c() end")
    r = moonpost("test")
    assert r.status == 1
    assert "not ok 1 - scripts/a_test.lua\n# scripts/a_test.lua:1: " in r.out
    assert "not ok 2 - scripts/b_test.lua\n# scripts/b_test.lua defines no function test_*\n" in r.out
    assert r.out.endswith("ok 3 - scripts/c_test.lua:1 test_c\n1 passed, 2 failed\n")


def test_states_of_their_own(moonpost, folder):
    folder(s="n = (n or 0) + 1\nfunction on_issue() kv.incr 'n' n = n + 1 log.info('n', { n = n }) end", s_test=HEAD + """
count = (count or 0) + 1
local function run(t) return t:deliver("issue.created").log[1].fields.n end
function test_a()
  testing.equal(count, 1)
  count = 7
  local t = testing.load "s"
  testing.equal(run(t), 2)
  testing.equal(run(t), 3)
  testing.equal(t:kv "n", 2)
  local other = testing.load "s"
  testing.equal(other:kv "n", nil)
  testing.equal(run(other), 2)
end
function test_b() testing.equal(count, 1) end
""")
    r = moonpost("test")
    assert r.status == 0, r


def test_hostile_tests_end_and_the_rest_runs(moonpost, folder):
    folder(s="function on_issue() while true do end end\n"
             "function on_comment() while true do sleep(1) end end",
           s_test=HEAD + """
function test_loop() while true do end end
function test_swallow() while true do pcall(function() while true do end end) end end
function test_memory() local t = {} while true do t[#t + 1] = ("x"):rep(1 << 20) .. #t end end
function test_exit() testing.is_true(os.exit == nil and io == nil and debug == nil and load == nil) os.exit(0) end
function test_stack() local function f() return 1 + f() end f() end
function test_handler_loop() testing.equal(testing.load("s"):deliver("issue.created").outcome, "done") end
function test_handler_sleeps() testing.equal(testing.load("s"):deliver("comment.created").outcome, "done") end
function test_error_object() error { code = 7 } end
function test_yield() coroutine.yield() end
function test_network() http.get "https://example.com/" end
function test_good() end
""")
    r = moonpost("test", timeout=60)
    assert r.status == 1
    assert r.out.endswith("ok 11 - scripts/s_test.lua:13 test_good\n1 passed, 10 failed\n")
    for text in ("s_test.lua:3: CPU limit of 1s exceeded", "s_test.lua:4: CPU limit of 1s exceeded",
                 "the test has used up its memory (--memory-limit)", "s_test.lua:6: attempt to call a nil value (field 'exit')",
                 "scripts/s.lua:1: CPU limit of 1s exceeded",
                 "scripts/s.lua:2: sleep is longer than what is left of the handler deadline of 30s",
                 "error object { code = 7 }", "outside a coroutine", "there is no network here"):
        assert text in r.out, text


def test_a_test_that_never_waits_long_but_never_ends(moonpost, folder):
    folder(s="function on_issue() end", s_test=HEAD + """
function test_for_ever()
  local t = testing.load "s"
  while true do t:deliver "issue.created" end
end
function test_good() end
""")
    begun = time.monotonic()
    r = moonpost("test", timeout=60)
    assert time.monotonic() - begun < 20
    assert "the test did not end within 10 s" in r.out and "1 passed, 1 failed" in r.out


def test_a_sleep_beyond_the_deadline_names_the_way_out(moonpost, folder):
    folder(s="function on_issue() sleep(45) end", s_test=HEAD + """
function test_it()
  local run = testing.load("s"):deliver "issue.created"
  testing.equal(run.outcome, "error")
  testing.matches(run.error, "event:retry{after = ...}", nil)
  testing.equal(run.duration, 0)
end
""")
    assert moonpost("test").status == 0
    r = moonpost("test", "--handler-timeout", "1m")
    assert 'expected "error", got "done"' in r.out


def test_json(moonpost, folder):
    folder(s_test="function test_a() end\nfunction test_b() error 'no' end")
    r = moonpost("test", "--json")
    assert r.status == 1
    told = json.loads(r.out)
    assert (told["passed"], told["failed"]) == (1, 1)
    a, b = told["tests"]
    assert a["name"] == "test_a" and a["ok"] is True and a["file"] == "scripts/s_test.lua" and a["line"] == 1
    assert b["ok"] is False and b["message"] == "scripts/s_test.lua:2: no" and b["notes"] == []


def test_only_some(moonpost, folder):
    folder(a_test="function test_one() end\nfunction test_two() end", b_test="function test_one() end")
    r = moonpost("test", "--only", "two")
    assert r.out == "TAP version 13\n1..1\nok 1 - scripts/a_test.lua:2 test_two\n1 passed, 0 failed\n"
    assert "2 passed" in moonpost("test", "--only", "a_test").out
    assert "1..1\nok 1 - scripts/b_test.lua:1 test_one\n" in moonpost("test", "scripts/b_test.lua").out
    r = moonpost("test", "--only", "three")
    assert r.status == 2 and "no test in scripts has 'three' in its name" in r.err


def test_nothing_to_run(moonpost, folder, tmp_path):
    r = moonpost("test", "elsewhere")
    assert r.status == 3 and "elsewhere" in r.err
    folder(s="function on_issue() end")
    r = moonpost("test")
    assert r.status == 2 and "no tests in scripts: a test is a function test_* in a file NAME_test.lua there" in r.err
    r = moonpost("test", "scripts/s.lua")
    assert r.status == 2 and "not a file of tests" in r.err
    r = moonpost("test", "--onyl", "x")
    assert r.status == 2 and "--only" in r.err


def test_scripts_are_served_without_their_tests(moonpost, folder):
    folder(s="function on_issue() end", s_test="function on_issue() end function test_a() end")
    told = json.loads(moonpost("check", "--json").out)
    assert [s["name"] for s in told["scripts"]] == ["s"]
