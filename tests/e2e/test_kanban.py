"""Sentry's example integration, rebuilt: what its own tests send, and what they expect."""

import json
import os
import shutil

import pytest

from host import ROOT, Host, sign

SCRIPTS = os.path.join(ROOT, "examples", "sentry-kanban", "scripts")
UUID = "7a485448-a9e2-4c85-8a3c-4f44175783c9"
ACTION = {"installationId": UUID, "fields": [
    {"name": "title", "value": "Alert Rule Action Item Title"},
    {"name": "description", "value": "Alert Rule Action Item Description"},
    {"name": "userId", "value": 1}]}
LINK = {"installationId": UUID, "issueId": "123", "fields": {
    "title": "Error #1: This is a test error!", "description": "This is an item description!",
    "column": "DOING", "complexity": 2, "itemId": None}}


@pytest.fixture
def host(tmp_path):
    shutil.copytree(SCRIPTS, tmp_path / "scripts", dirs_exist_ok=True)
    with Host(tmp_path, "--dev") as h:
        yield h


def install(host, user=None):
    body = {"action": "created", "installation": {"uuid": UUID},
            "data": {"installation": {"uuid": UUID, "status": "installed", "organization": {"slug": "acme", "id": 1},
                                      "app": {"uuid": "a", "slug": "acme-kanban"}}},
            "actor": {"type": "user", "id": user, "name": "Jane"} if user else
            {"type": "application", "id": "sentry", "name": "Sentry"}}
    done = len(host.logged(msg="job done"))
    assert host.deliver("installation", body).status == 200
    host.log(count=done + 1, msg="job done")


def post(host, path, body):
    data = json.dumps(body).encode()
    return host.request("POST", path, data, {
        "Content-Type": "application/json", "Sentry-App-Signature": sign(data, host.secret)})


def options(host, name, query=""):
    return host.request("GET", f"/ui/options/{name}?installationId={UUID}{query}", None,
                        {"Sentry-App-Signature": sign(b"", host.secret)})


def cards(host):
    return {o["value"]: o["label"] for o in options(host, "itemId").json}


def test_an_alert_action_is_accepted(host):
    install(host, user=1)
    assert post(host, "/ui/alert-rule-action", ACTION).status == 200


def test_an_alert_action_surfaces_errors(host):
    r = post(host, "/ui/alert-rule-action", ACTION)
    assert (r.status, r.json["message"]) == (400, "Invalid installation was provided")
    install(host)
    r = post(host, "/ui/alert-rule-action", {**ACTION, "fields": []})
    assert (r.status, r.json["message"]) == (400, "Title and description are required")
    r = post(host, "/ui/alert-rule-action", ACTION)
    assert (r.status, r.json["message"]) == (400, "Selected user was not found")


def test_an_issue_becomes_a_card_and_is_linked_to_one(host):
    assert post(host, "/ui/issue-link/create", LINK).status == 400
    install(host)
    created = post(host, "/ui/issue-link/create", LINK)
    assert created.status == 200 and created.json["project"] == "ACME" and created.json["webUrl"].endswith("/acme/")
    assert options(host, "itemId").json == [{"value": 1, "label": LINK["fields"]["title"]}]
    assert created.json["identifier"] == "1"
    linked = post(host, "/ui/issue-link/link", {**LINK, "fields": {"itemId": 1}})
    assert (linked.status, linked.json) == (200, created.json)
    r = post(host, "/ui/issue-link/link", {**LINK, "fields": {"itemId": 99}})
    assert (r.status, r.json["message"]) == (400, "Selected task was not found")


def test_options_follow_what_is_typed(host):
    install(host, user=1)
    assert options(host, "userId").json == [{"value": 1, "label": "Jane"}]
    assert options(host, "userId", "&query=JA").json == [{"value": 1, "label": "Jane"}]
    assert options(host, "userId", "&query=x").json == []


def test_alerts_put_cards_on_the_board(host):
    install(host)
    with open(os.path.join(SCRIPTS, "..", "payload.json")) as f:
        body = json.load(f)
    assert host.deliver("event_alert", body).status == 200
    host.log(msg="job done", handler="alert_action.fire")
    assert list(cards(host).values()) == ["🚨 Issue Alert: Look at the shop"]
    del body["data"]["issue_alert"]
    assert host.deliver("event_alert", body).status == 200
    host.log(count=2, msg="job done", handler="alert_action.fire")
    assert "🚨 Issue Alert: Very Important Alert Rule!" in cards(host).values()


def test_a_metric_alert_has_one_card(host):
    install(host)
    n = 0
    for action, prefix in (("critical", "🔥 Critical"), ("warning", "⚠️ Warning"), ("resolved", "✅ Resolved")):
        settings = [{"name": "title", "value": "Latency"}, {"name": "description", "value": "D"}]
        body = {"action": action, "installation": {"uuid": UUID},
                "data": {"description_text": "text", "description_title": "Title", "web_url": "https://sentry.io/x",
                         "metric_alert": {"id": "7", "title": "T", "alert_rule": {"name": "Rule", "triggers": [
                             {"label": action, "actions": [{"type": "sentry_app", "settings": settings}]}]}}},
                "actor": {"type": "application", "id": "sentry", "name": "Sentry"}}
        assert host.deliver("metric_alert", body).status == 200
        n += 1
        host.log(count=n, msg="job done", handler="alert_action.fire")
        assert list(cards(host).values()) == [f"{prefix} Metric: Latency"]


def test_it_is_small():
    with open(os.path.join(SCRIPTS, "kanban.lua")) as f:
        lines = f.read().splitlines()
    assert len(lines) < 120 and max(map(len, lines)) <= 100


def test_its_schema_is_that_of_the_original(moonpost):
    r = moonpost("ui-schema", SCRIPTS)
    assert r.status == 0, r
    link, action = json.loads(r.out)["elements"]
    assert link == {
        "type": "issue-link",
        "create": {
            "uri": "/ui/issue-link/create",
            "required_fields": [
                {"type": "text", "label": "Task Name", "name": "title", "default": "issue.title"},
                {"type": "textarea", "label": "Task Description", "name": "description", "default": "issue.description"}],
            "optional_fields": [
                {"type": "select", "label": "What's the status of this task?", "name": "column",
                 "options": [["TODO", "Planned"], ["DOING", "In Progress"], ["DONE", "Completed"]]},
                {"type": "select", "label": "What is the estimated complexity?", "name": "complexity",
                 "options": [[n, n] for n in "12358"]}]},
        "link": {
            "uri": "/ui/issue-link/link",
            "required_fields": [
                {"type": "select", "label": "Which task would you like to link to this Sentry Issue?", "name": "itemId",
                 "uri": "/ui/options/itemId"}]}}
    assert action == {
        "type": "alert-rule-action",
        "title": "Create an alert ticket in ACME Kanban",
        "settings": {
            "type": "alert-rule-settings",
            "uri": "/ui/alert-rule-action",
            "description": "Provide the details for the alert ticket",
            "required_fields": [
                {"type": "text", "label": "Alert Ticket Title", "name": "title"},
                {"type": "textarea", "label": "Alert Ticket Description", "name": "description"}],
            "optional_fields": [
                {"type": "select", "label": "Who would you like assigned to the Alert Ticket?", "name": "userId",
                 "uri": "/ui/options/userId"}]}}
