"""moonpost check: what is wrong with scripts, told without a host."""

import glob
import json
import os
import re

import pytest

from conftest import ROOT
from test_cli import DEPLOYS


@pytest.fixture
def scripts(tmp_path):
    folder = tmp_path / "scripts"
    folder.mkdir()

    def write(**files):
        for name, source in files.items():
            path = folder / (name.replace("__", "/") + ".lua")
            path.parent.mkdir(exist_ok=True)
            path.write_text(source)
        return folder

    return write


GOOD = 'function on_issue(event)\n  log.info("seen", { action = event.action })\nend\n'


def test_good_scripts(moonpost, scripts):
    scripts(a=GOOD, b='local lib = require "shared"\nfunction on_event(event) lib.go(event) end\n',
            lib__shared="local M = {}\nfunction M.go(event) return event end\nreturn M\n")
    r = moonpost("check")
    assert r.status == 0, r
    assert r.out == "2 scripts, 2 handlers: good\n" and r.err == ""
    told = json.loads(moonpost("check", "--json").out)
    assert told["good"] is True and told["problems"] == []
    assert told["scripts"][0] == {"name": "a", "file": "scripts/a.lua", "handlers": ["on_issue"]}


def test_scripts_that_come_with_moonpost_are_good(moonpost):
    from conftest import ROOT
    r = moonpost("check", ROOT + "/scripts")
    assert r.status == 0, r


def test_examples_are_good_without_their_secrets(moonpost):
    folders = sorted(glob.glob(os.path.join(ROOT, "examples", "*", "scripts")))
    assert len(folders) >= 3
    for folder in folders:
        r = moonpost("check", folder)
        assert r.status == 0, r


def test_a_folder_and_a_file_by_name(moonpost, scripts, tmp_path):
    scripts(a=GOOD, b="function on_issue(")
    (tmp_path / "scripts").rename(tmp_path / "elsewhere")
    assert moonpost("check", "elsewhere").status == 1
    assert moonpost("check", "elsewhere/a.lua").status == 0
    assert moonpost("check", "elsewhere/b.lua").status == 1
    assert moonpost("check", env={"MOONPOST_SCRIPTS": "elsewhere"}).status == 1


def test_places_of_faults(moonpost, scripts):
    scripts(syntax="\nfunction on_issue(event\nend\n", top='\n\nerror("no luck")\n', fine=GOOD,
            field="local t = nil\nt.x = 1\n")
    r = moonpost("check")
    assert r.status == 1
    lines = r.out.splitlines()
    assert any(re.match(r"scripts/syntax\.lua:3: .*expected", line) for line in lines), r
    assert "scripts/top.lua:3: no luck" in lines
    assert any(line.startswith("scripts/field.lua:2: ") for line in lines)
    assert lines[-1] == "4 scripts, 1 handler: 3 problems"
    assert not any("fine.lua" in line for line in lines)


def test_faults_as_json(moonpost, scripts):
    scripts(top='\nerror("no luck")\n')
    r = moonpost("check", "--json")
    assert r.status == 1
    told = json.loads(r.out)
    assert told["good"] is False
    assert told["problems"] == [
        {"file": "scripts/top.lua", "line": 2, "column": None, "code": "load", "severity": "error",
         "message": "no luck"}]


def test_a_script_that_does_not_end_or_eats_memory_is_a_fault_like_another(moonpost, scripts):
    scripts(loop="while true do end", memory='local t = {} while true do t[#t + 1] = ("x"):rep(1e6) .. #t end',
            fine=GOOD)
    r = moonpost("check", "--cpu-limit", "200ms", "--memory-limit", "16MiB")
    assert r.status == 1
    assert re.search(r"^scripts/loop\.lua(:1)?: ", r.out, re.M), r
    assert re.search(r"^scripts/memory\.lua(:1)?: ", r.out, re.M), r
    assert "fine.lua" not in r.out and "note:" not in r.out


def test_libs_are_looked_at_whether_required_or_not(moonpost, scripts):
    scripts(a='require "broken"\n' + GOOD, b='require "broken"\n' + GOOD, lib__broken="x = = 1", lib__unused="y = = 1",
            lib__fine="return {}")
    r = moonpost("check")
    assert r.status == 1
    assert r.out.count("scripts/lib/broken.lua:1: ") == 1
    assert r.out.count("scripts/lib/unused.lua:1: ") == 1
    assert "fine.lua" not in r.out and "note:" not in r.out


def test_a_file_that_cannot_be_read(moonpost, scripts, tmp_path):
    (scripts() / "gone.lua").symlink_to("nowhere.lua")
    r = moonpost("check")
    assert r.status == 1 and "scripts/gone.lua: cannot read it" in r.out


def test_misspelt_names(moonpost, scripts, tmp_path):
    (tmp_path / "deploys.yml").write_text(DEPLOYS)
    scripts(a="function on_isue(event)\n  lgo.info('x')\n  shared_total = shared_total + 1\n  return later\nend\n",
            b="function on_deploy(event) json.encode(event) sleep(1) print(limit, string.rep) end\n",
            lib__shared="limit = 5\nreturn { go = function() return undefiend end }\n")
    r = moonpost("check")
    assert r.status == 1
    found = {line.split(": ")[0]: line for line in r.out.splitlines()}
    assert "on_isue" in found["scripts/a.lua:1"] and "on_issue" in found["scripts/a.lua:1"]
    assert "lgo" in found["scripts/a.lua:2"] and "log" in found["scripts/a.lua:2"]
    assert "later" in found["scripts/a.lua:4"]
    assert "on_deploy" in found["scripts/b.lua:1"]
    assert "undefiend" in found["scripts/lib/shared.lua:1" if "scripts/lib/shared.lua:1" in found
                                else "scripts/lib/shared.lua:2"]
    # A handler that an added document calls is none; globals of a lib are known.
    r = moonpost("check", "--schema", "deploys.yml")
    assert r.status == 1 and "b.lua" not in r.out
    assert moonpost("check", "--schema", "gone.yml").status == 3


def test_a_script_without_handlers_is_worth_a_word(moonpost, scripts):
    scripts(a="local function on_issue(event) return event end")
    r = moonpost("check")
    assert r.status == 0
    assert "scripts/a.lua: note: defines no global function on_*" in r.out


def test_nothing_to_check(moonpost, scripts):
    scripts()
    r = moonpost("check")
    assert r.status == 0 and r.out == "no scripts in scripts\n"
    r = moonpost("check", "nowhere")
    assert r.status == 3 and "nowhere" in r.err and r.out == ""
    assert moonpost("check", "a", "b").status == 2


def test_schedules(moonpost, scripts):
    scripts(a='schedule.every("5m", "poll", function(event) log.info(event.data.name) end)\n')
    r = moonpost("check")
    assert r.status == 0 and r.out == "1 script, 0 handlers: good\n", r
    scripts(a='\nschedule.cron("0 9 * * *", "x", print, { tz = "Europe/Viena" })\n',
            b='schedule.cron("0 25 * * *", "x", print)\n')
    r = moonpost("check")
    assert r.status == 1
    assert "scripts/a.lua:2: there is no time zone 'Europe/Viena', did you mean 'Europe/Vienna'?\n" in r.out
    assert 'scripts/b.lua:1: schedule.cron "0 25 * * *": column 3: 25 is no hour: it is 0 to 23\n' in r.out


def test_fields_that_no_payload_has(moonpost, scripts):
    scripts(x="function on_issue(event)\n  local issue = event.data.issue\n  log.info(event.data.isue, issue.tittle)\n"
              "  http.psot('https://example.com')\n  log.info(event.resorce)\nend\n")
    r = moonpost("check")
    assert r.status == 1
    assert r.out.splitlines()[:-1] == [
        "scripts/x.lua:3: no payload of 'issue' has 'data.isue', did you mean 'issue'?",
        "scripts/x.lua:3: no payload of 'issue' has 'data.issue.tittle', did you mean 'title'?",
        "scripts/x.lua:4: there is no http.psot, did you mean http.post?",
        "scripts/x.lua:5: an event has no 'resorce', did you mean 'resource'?"]
    told = json.loads(moonpost("check", "--json").out)["problems"]
    assert told[0] == {"file": "scripts/x.lua", "line": 3, "column": 23, "code": "unknown-field", "severity": "error",
                       "message": "no payload of 'issue' has 'data.isue', did you mean 'issue'?"}


def test_fields_of_a_document_of_ones_own(moonpost, scripts, tmp_path):
    (tmp_path / "builds.json").write_text(json.dumps({
        "asyncapi": "2.6.0", "info": {"title": "builds", "version": "1"}, "channels": {"build": {"subscribe": {
            "message": {"payload": {"type": "object", "properties": {"data": {"type": "object", "properties": {
                "version": {"type": "string"}, "open": {"type": "object"},
                "closed": {"type": "object", "additionalProperties": False, "properties": {"a": {}}}}}}}}}}}}))
    scripts(x="function on_build(event)\n  log.info(event.data.version, event.data.open.x, event.data.versoin)\n"
              "  log.info(event.data.closed.frobnicate)\nend\n")
    r = moonpost("check", "--schema", "builds.json")
    assert r.status == 1
    assert r.out.splitlines()[:-1] == [
        "scripts/x.lua:2: no payload of 'build' has 'data.versoin', did you mean 'version'?",
        "scripts/x.lua:3: no payload of 'build' has 'data.closed.frobnicate'"]


def paths(value, path):
    """Lua that reads every place of a value."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths(inner, f"{path}[{json.dumps(key)}]")
    elif isinstance(value, list):
        for i, inner in enumerate(value[:3], 1):
            yield from paths(inner, f"{path}[{i}]")


@pytest.mark.parametrize("name", sorted(
    os.path.basename(path) for path in glob.glob(os.path.join(ROOT, "tests", "e2e", "payloads", "*.json"))))
def test_nothing_that_a_recorded_payload_has_is_called_unknown(moonpost, scripts, name):
    with open(os.path.join(ROOT, "tests", "e2e", "payloads", name)) as f:
        payload = json.load(f)
    lines = [f"  log.info({path})" for path in paths(payload, "event.payload")]
    lines += [f"  log.info({path})" for path in paths(payload["data"], "event.data")]
    scripts(x=f"function on_{name.split('.')[0]}(event)\n" + "\n".join(lines) + "\nend\n")
    r = moonpost("check")
    assert r.status == 0, r
