"""Every example acts on its payload, against a peer that answers as the real one does."""

import glob
import json
import os
import shutil

import pytest
from host import ROOT, Host
from peer import Peer

EXAMPLES = os.path.join(ROOT, "examples")


def start(tmp_path, name, **secrets):
    shutil.copytree(os.path.join(EXAMPLES, name, "scripts"), tmp_path / "scripts", dirs_exist_ok=True)
    return Host(tmp_path, "--dev", "--retry-base", "50ms", env=secrets, wait=False).start()


def payload(name):
    with open(os.path.join(EXAMPLES, name, "payload.json")) as f:
        return json.load(f)


@pytest.mark.parametrize("path", sorted(glob.glob(os.path.join(EXAMPLES, "*/"))), ids=lambda p: p.split("/")[-2])
def test_every_example_is_complete(path):
    for part in ("README.md", "payload.json", "scripts"):
        assert os.path.exists(os.path.join(path, part)), part
    with open(os.path.join(EXAMPLES, "README.md")) as f:
        assert f"({os.path.basename(os.path.dirname(path))})" in f.read(), "named in examples/README.md"


def test_slack_notify(tmp_path):
    failures = [503]
    def answer(request):
        return (failures.pop(), "busy") if failures else (200, "ok")

    with Peer(answer) as slack, start(tmp_path, "slack-notify", SLACK_WEBHOOK_URL=slack.url + "/hook") as host:
        body = payload("slack-notify")
        assert host.deliver("issue", body).status == 200
        first, second = slack.received(2)
        assert first.path == "/hook" and first.body == second.body, "tried again after a 503"
        message = second.json
        assert "fatal" in message["text"]
        attachment = message["attachments"][0]
        assert attachment["title"] == "TimeoutError: payment provider did not answer &lt;in 5 s&gt;"
        assert attachment["title_link"] == body["data"]["issue"]["web_url"]
        body["data"]["issue"]["level"] = "info"
        assert host.deliver("issue", body).status == 200
        body["action"] = "resolved"
        assert host.deliver("issue", body).status == 200
        assert "Resolved" in slack.received(3)[2].json["text"]
        host.log(count=3, msg="job done")
        assert len(slack.requests) == 3, "an issue of level info is nobody's business"


def test_pagerduty_alerts(tmp_path):
    with Peer(lambda request: (202, {"status": "success"})) as pagerduty, \
            start(tmp_path, "pagerduty-alerts", PAGERDUTY_URL=pagerduty.url + "/v2/enqueue",
                  PAGERDUTY_ROUTING_KEY="routing-key-0123456789") as host:
        body = payload("pagerduty-alerts")
        assert host.deliver("metric_alert", body).status == 200
        opened = pagerduty.received(1)[0].json
        assert (opened["event_action"], opened["payload"]["severity"]) == ("trigger", "critical")
        assert opened["routing_key"] == "routing-key-0123456789"
        assert opened["payload"]["source"] == "shop, checkout"
        body["action"] = "resolved"
        assert host.deliver("metric_alert", body).status == 200
        closed = pagerduty.received(2)[1].json
        assert closed["event_action"] == "resolve"
        assert closed["dedup_key"] == opened["dedup_key"]
        host.log(count=2, msg="job done")
        assert "routing-key-0123456789" not in host.tail(10000)


def test_jira_ticket(tmp_path):
    tickets = {}

    def answer(request):
        assert request.headers["Authorization"] == "Basic bWFpbDp0b2tlbg=="
        if request.method == "GET":
            found = [{"key": key} for label, key in tickets.items() if label in request.path]
            return 200, {"issues": found}
        tickets[request.json["fields"]["labels"][0]] = "OPS-1"
        return 201, {"key": "OPS-1"}

    with Peer(answer) as jira, start(tmp_path, "jira-ticket", JIRA_URL=jira.url, JIRA_PROJECT="OPS",
                                     JIRA_BASIC="bWFpbDp0b2tlbg==") as host:
        body = payload("jira-ticket")
        assert host.deliver("issue", body).status == 200
        assert host.log(msg="opened a ticket")["ticket"] == "OPS-1"
        assert host.deliver("issue", body).status == 200
        assert host.log(msg="there is a ticket already")["ticket"] == "OPS-1"
        search, create, again = jira.received(3)
        assert "jql=labels%20%3D%20%22sentry-6104432118%22" in search.path
        assert create.json["fields"]["summary"] == "KeyError: 'currency'"
        assert create.json["fields"]["project"] == {"key": "OPS"}
        assert again.method == "GET"
        assert "bWFpbDp0b2tlbg==" not in host.tail(10000)
