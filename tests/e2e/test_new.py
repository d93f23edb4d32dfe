"""moonpost new: what it writes is good as it is, and nothing is overwritten."""

import json
import os

import pytest


def names(folder):
    return sorted(os.path.join(os.path.relpath(d, folder), f).removeprefix("./")
                  for d, _, files in os.walk(folder) for f in files)


def test_a_handler_for_every_resource(moonpost, tmp_path):
    rows = json.loads(moonpost("channels", "--json").out)
    resources = sorted({row["resource"] for row in rows})
    assert "issue" in resources and len(resources) >= 8
    for resource in resources:
        r = moonpost("new", "handler", "my-" + resource, "--resource", resource)
        assert r.status == 0, r
    assert len(names(tmp_path / "scripts")) == 2 * len(resources)
    r = moonpost("test")
    assert r.status == 0 and f"{len(resources)} passed, 0 failed" in r.out, r
    r = moonpost("check")
    assert r.status == 0 and "note:" not in r.out, r


@pytest.mark.parametrize("name, handler, event", [
    ("on_comment", "on_comment", "comment.created"),
    ("on_install", "on_install", "installation.created"),
    ("on_metric_alert", "on_metric_alert", "metric_alert."),
    ("jira", "on_issue", "issue.created"),
])
def test_a_name_says_whom_it_is_for(moonpost, tmp_path, name, handler, event):
    r = moonpost("new", "handler", name, "--scripts", "mine")
    assert r.status == 0 and f"mine/{name}.lua\nmine/{name}_test.lua\n" in r.out and f"moonpost send {event}" in r.out
    source = (tmp_path / "mine" / f"{name}.lua").read_text()
    assert f"function {handler}(event)" in source and "@" not in source
    assert moonpost("test", "mine").status == 0


def test_an_alert_action(moonpost, tmp_path):
    r = moonpost("new", "alert-action", "page-oncall")
    assert r.status == 0, r
    assert 'title = "Page oncall"' in (tmp_path / "scripts" / "page-oncall.lua").read_text()
    assert moonpost("check").status == 0
    r = moonpost("test")
    assert r.status == 0 and "2 passed, 0 failed" in r.out, r
    assert json.loads(moonpost("ui-schema").out)["elements"][0]["type"] == "alert-rule-action"


def test_a_project(moonpost, tmp_path):
    r = moonpost("new", "project", "shop")
    assert r.status == 0 and "cd shop" in r.out
    project = tmp_path / "shop"
    assert names(project) == [".gitignore", ".luarc.json", "README.md", "moonpost.lua",
                              "scripts/on_issue.lua", "scripts/on_issue_test.lua"]
    json.loads((project / ".luarc.json").read_text())
    assert (project / "README.md").read_text().startswith("# shop\n")
    for command in ("check", "test"):
        r = moonpost(command, cwd=project)
        assert r.status == 0, r
    assert moonpost("new", "handler", "second", cwd=project).status == 0
    assert (project / "scripts" / "second_test.lua").exists()
    assert moonpost("new", "project", "shop").status == 2


def test_nothing_is_overwritten(moonpost, tmp_path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "a_test.lua").write_text("mine")
    (tmp_path / "scripts" / "b.lua").symlink_to("nowhere")
    for name, taken in (("a", "a_test.lua"), ("b", "b.lua")):
        r = moonpost("new", "handler", name)
        assert r.status == 2 and f"scripts/{taken} is there already, and nothing was written" in r.err
    assert names(tmp_path / "scripts") == ["a_test.lua", "b.lua"]
    assert (tmp_path / "scripts" / "a_test.lua").read_text() == "mine"


@pytest.mark.parametrize("args, message", [
    ((), "what is to be made"),
    (("handler",), "what is to be made"),
    (("handlr", "x"), "did you mean 'handler'?"),
    (("handler", "x.lua"), "'x.lua' is no name"),
    (("handler", "../x"), "is no name"),
    (("handler", "-x"), ""),
    (("handler", "x_test"), "is the name of a test"),
    (("handler", ""), "is no name"),
    (("handler", "x", "--resource", "isue"), "did you mean 'issue'?"),
    (("project", "x", "--resource", "issue"), "--resource is for a handler"),
    (("handler", "x", "y"), "one argument too many"),
])
def test_wrong_usage(moonpost, tmp_path, args, message):
    r = moonpost("new", *args)
    assert r.status == 2 and message in r.err, r
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_written(moonpost, tmp_path):
    (tmp_path / "scripts").write_text("a file")
    r = moonpost("new", "handler", "x")
    assert r.status == 3 and "scripts" in r.err
