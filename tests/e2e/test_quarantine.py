"""Deliveries that a schema refused are let out by themselves when a document accepts them."""

import os

from host import Host, eventually
from test_handlers import envelope, issue

HANDLER = """
function on_issue(event)
  log.info("saw", { how = event.data.issue.level, attempt = event.attempt })
end
"""

# The same resource once more, with a level that the built-in documents do not know.
WIDER = """
asyncapi: 2.6.0
info: { title: wider, version: 1.0.0 }
channels:
  issue:
    subscribe:
      message:
        name: issue
        headers:
          type: object
          properties: { Sentry-Hook-Resource: { type: string, const: issue } }
        payload:
          type: object
          required: [action, data]
          properties:
            action: { type: string }
            data:
              type: object
              properties:
                issue: { type: object, properties: { level: { type: string, enum: [loud, %s] } } }
"""


def refused(host, level, **headers):
    answer = host.deliver("issue", envelope(issue=issue(level=level)), **headers)
    assert answer.status == 422, answer
    return answer.json["id"]


def schema(tmp_path, *levels):
    path = os.path.join(str(tmp_path), "wider.yml")
    with open(path, "w") as f:
        f.write(WIDER % ", ".join(levels))
    return path


def test_what_was_refused_runs_when_an_added_document_accepts_it(tmp_path):
    host = Host(tmp_path, wait=False)
    host.write("a.lua", HANDLER)
    with host.start():
        ids = [refused(host, "loud") for _ in range(40)]
        quiet = refused(host, "quiet")
    with Host(tmp_path, "--schema", schema(tmp_path, "louder")) as host:
        line = host.log(msg="quarantine checked again")
        assert (line["checked"], line["replayed"], line["still_invalid"]) == (41, 40, 1), line
        for i in ids:
            host.log(msg="job done", delivery=i)
        assert len(host.logged(msg="saw", how="loud")) == 40, "each of them once"
        assert host.api(f"deliveries/{quiet}")["state"] == "invalid"

    # The same documents are not asked again, others are.
    with Host(tmp_path, "--schema", schema(tmp_path, "louder")) as host:
        assert host.deliver("issue", envelope(issue=issue())).status == 200
        host.log(msg="job done")
    assert not host.logged(msg="quarantine checked again")
    with Host(tmp_path, "--schema", schema(tmp_path, "quiet")) as host:
        host.log(msg="saw", how="quiet")
        host.log(msg="job done", delivery=quiet)


def test_what_nobody_handles_becomes_unhandled(tmp_path):
    with Host(tmp_path) as host:
        i = refused(host, "loud")
    with Host(tmp_path, "--schema", schema(tmp_path, "x")) as host:
        line = host.log(msg="quarantine checked again")
        assert (line["checked"], line["unhandled"]) == (1, 1), line
        assert host.api(f"deliveries/{i}")["state"] == "unhandled"


def test_a_stale_delivery_stays_where_it_is(tmp_path):
    host = Host(tmp_path, "--max-age", "1m", wait=False)
    host.write("a.lua", HANDLER)
    with host.start():
        answer = host.deliver("issue", envelope(issue=issue()), Sentry_Hook_Timestamp="1600000000")
        assert answer.status == 422, answer
        refused(host, "loud")
    with Host(tmp_path, "--schema", schema(tmp_path, "x")) as host:
        line = host.log(msg="quarantine checked again")
        assert (line["checked"], line["replayed"]) == (1, 1), line
        assert host.api(f"deliveries/{answer.json['id']}")["state"] == "invalid"


def test_a_kill_in_the_middle_loses_and_doubles_nothing(tmp_path):
    host = Host(tmp_path, wait=False)
    host.write("a.lua", HANDLER)
    with host.start():
        ids = [refused(host, "loud") for _ in range(200)]
    wide = schema(tmp_path, "x")
    host = Host(tmp_path, "--schema", wide)
    eventually(lambda: len(host.logged(msg="saw")) >= 3, "some run")
    host.kill()
    with Host(tmp_path, "--schema", wide) as host:
        host.log(msg="quarantine checked again")
        eventually(lambda: all(host.api(f"deliveries/{i}")["state"] == "done" for i in ids), "all are done")
        assert host.api("deliveries", state="invalid")["deliveries"] == []
