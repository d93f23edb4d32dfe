"""moonpost ui-schema: what scripts declare, as Sentry's parser wants it."""

import json
import os

import pytest

from conftest import ROOT

SENTRY = os.path.join(ROOT, "tests", "e2e", "ui", "sentry-ui-schema.json")

TICKETS = """
alert_action {
  title = "Create a kanban item for MyApp",
  fields = {
    { name = "ticket_type", label = "Ticket Type", type = "select", required = true, options = {
      { value = "feat", label = "Feature" }, { value = "bug", label = "Bug" }, { value = "task", label = "Task" } } },
    { name = "runbook", label = "Runbook", type = "text", required = true },
    { name = "assignee", label = "Assignee", type = "select", required = true,
      options = function() return {} end },
  },
}
"""

LINKS = """
local function items() return {} end
issue_link {
  create = {
    fields = {
      { name = "title", label = "Task Name", type = "text", required = true, default = "issue.title" },
      { name = "column", label = "Column", type = "select", options = { { value = "TODO", label = "Planned" } } },
      { name = "complexity", label = "Complexity", type = "select", options = { { value = 1, label = 1 } } },
    },
    run = function() end,
  },
  link = {
    fields = {
      { name = "board", label = "Board", type = "select", required = true, options = items, async = false },
      { name = "itemId", label = "Task", type = "select", options = function() return {} end,
        depends_on = { "board" }, skip_load_on_open = true },
    },
    run = function() end,
  },
}
stacktrace_link { url = function() end }
"""


@pytest.fixture
def scripts(tmp_path):
    folder = tmp_path / "scripts"
    folder.mkdir()

    def write(**files):
        for name, source in files.items():
            (folder / (name + ".lua")).write_text(source)

    return write


def is_taken_by_sentry(moonpost, tmp_path, text):
    (tmp_path / "schema.json").write_text(text)
    r = moonpost("validate", "--schema", SENTRY, "schema.json")
    assert r.status == 0, r


def test_an_alert_action(moonpost, scripts, tmp_path):
    scripts(tickets=TICKETS, other="function on_issue() end")
    r = moonpost("ui-schema")
    assert r.status == 0 and r.err == "", r
    assert json.loads(r.out) == {"elements": [{
        "type": "alert-rule-action",
        "title": "Create a kanban item for MyApp",
        "settings": {
            "type": "alert-rule-settings",
            "uri": "/ui/alert-rule-action",
            "required_fields": [
                {"type": "select", "label": "Ticket Type", "name": "ticket_type",
                 "options": [["feat", "Feature"], ["bug", "Bug"], ["task", "Task"]]},
                {"name": "runbook", "type": "text", "label": "Runbook"},
                {"type": "select", "label": "Assignee", "name": "assignee", "uri": "/ui/options/assignee"},
            ]}}]}
    is_taken_by_sentry(moonpost, tmp_path, r.out)


def test_everything_in_several_scripts(moonpost, scripts, tmp_path):
    scripts(tickets=TICKETS, links=LINKS)
    r = moonpost("ui-schema")
    assert r.status == 0, r
    link, action, stack = json.loads(r.out)["elements"]
    assert action["type"] == "alert-rule-action"
    assert stack == {"type": "stacktrace-link", "uri": "/ui/stacktrace-link"}
    assert link["create"]["required_fields"] == [
        {"type": "text", "label": "Task Name", "name": "title", "default": "issue.title"}]
    assert link["create"]["optional_fields"][1]["options"] == [["1", "1"]]
    assert link["link"] == {
        "uri": "/ui/issue-link/link",
        "required_fields": [
            {"type": "select", "label": "Board", "name": "board", "uri": "/ui/options/board", "async": False}],
        "optional_fields": [
            {"type": "select", "label": "Task", "name": "itemId", "uri": "/ui/options/itemId",
             "depends_on": ["board"], "skip_load_on_open": True}]}
    is_taken_by_sentry(moonpost, tmp_path, r.out)


def test_one_script_by_name_and_by_file(moonpost, scripts):
    scripts(tickets=TICKETS, links=LINKS)
    by_name = moonpost("ui-schema", "tickets")
    assert by_name.status == 0 and len(json.loads(by_name.out)["elements"]) == 1
    assert moonpost("ui-schema", "scripts/tickets.lua").out == by_name.out


def test_another_integration_is_served_below_its_name(moonpost, scripts, tmp_path):
    scripts()
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "tickets.lua").write_text(TICKETS)
    (tmp_path / "moonpost.lua").write_text('return { integrations = { shop = { client_secret = "s", scripts = "shop" } } }')
    r = moonpost("ui-schema", "--integration", "shop")
    assert r.status == 0, r
    settings = json.loads(r.out)["elements"][0]["settings"]
    assert settings["uri"] == "/i/shop/ui/alert-rule-action"
    assert settings["required_fields"][2]["uri"] == "/i/shop/ui/options/assignee"
    is_taken_by_sentry(moonpost, tmp_path, r.out)
    assert moonpost("ui-schema", "--integration", "shoe").status == 2


def test_nothing_to_print(moonpost, scripts):
    scripts(other="function on_issue() end")
    r = moonpost("ui-schema")
    assert r.status == 1 and r.out == "" and "declares no component" in r.err
    assert moonpost("ui-schema", "nobody").status == 3


def test_what_sentry_refuses_is_a_problem(moonpost, scripts):
    scripts(tickets='\nalert_action { title = "T", fields = {} }')
    r = moonpost("ui-schema")
    assert r.status == 1 and r.out == ""
    assert r.err == "scripts/tickets.lua:2: alert_action: Sentry wants at least one required field: required = true\n"
    r = moonpost("check")
    assert r.status == 1
    assert "scripts/tickets.lua:2: alert_action: Sentry wants at least one required field" in r.out


def test_one_of_each_in_an_integration(moonpost, scripts):
    scripts(a=TICKETS, b=TICKETS)
    r = moonpost("check")
    assert r.status == 1
    assert "scripts/b.lua: alert_action is declared in scripts/a.lua already" in r.out
    assert moonpost("ui-schema").status == 1
    scripts(a=TICKETS, b=LINKS.replace("itemId", "assignee"))
    r = moonpost("check")
    assert r.status == 1 and "/ui/options/assignee" in r.out


def test_components_are_good_scripts(moonpost, scripts):
    scripts(tickets=TICKETS, links=LINKS)
    r = moonpost("check")
    assert r.status == 0 and r.out == "2 scripts, 0 handlers: good\n", r


def test_the_documentation_is_right(moonpost, scripts, tmp_path):
    with open(os.path.join(ROOT, "docs", "alert-actions.md")) as f:
        lua = f.read().split("```lua\n")[1].split("```")[0]
    scripts(page_oncall=lua)
    assert moonpost("check").status == 0
    r = moonpost("ui-schema", "page_oncall")
    assert r.status == 0, r
    is_taken_by_sentry(moonpost, tmp_path, r.out)
