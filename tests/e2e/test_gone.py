"""A script that is deleted while it has jobs: they wait for it."""

import os

import pytest

from host import Host, eventually
from test_handlers import envelope, issue

FAILS = "function on_issue() error('not yet') end"
WORKS = """function on_issue(event) log.info("worked", { n = event.data.issue.id }) end"""


def states(host):
    return {s["name"]: (s["state"], s.get("pending")) for s in host.api("scripts")["scripts"]}


def test_jobs_wait_for_a_script_that_is_gone_and_run_when_it_is_back(tmp_path):
    host = Host(tmp_path, "--retry-base", "1h", "--retry-max", "1h", wait=False)
    host.write("a.lua", FAILS)
    host.write("b.lua", "function on_comment() end")
    with host.start():
        first = host.deliver("issue", envelope(issue=issue())).json["id"]
        host.log(msg="handler failed")
        os.unlink(os.path.join(host.scripts, "a.lua"))
        host.log(msg="script removed", script="a")
        eventually(lambda: states(host)["a"][0] == "removed", "shown as removed")
        assert host.api(f"deliveries/{first}")["state"] == "retrying"
        # Nobody wants it now.
        second = host.deliver("issue", envelope(issue=issue())).json["id"]
        assert host.api(f"deliveries/{second}")["state"] == "unhandled"

    # It is shown after a restart, too, which knows of it only by its jobs.
    host.start()
    with host:
        line = host.log(msg="jobs wait for a script that is gone")
        assert line["script"] == "a"
        assert states(host)["a"][0] == "removed" and states(host)["b"][0] == "loaded"
        assert host.api(f"deliveries/{first}")["state"] == "retrying"
        host.write("a.lua", WORKS)
        eventually(lambda: states(host)["a"][0] == "loaded", "shown as loaded")
        host.post(f"deliveries/{first}/replay")
        host.log(msg="job done", delivery=first)


def paused(host):
    return {s["name"]: s["paused"] for s in host.api("scripts")["scripts"]}


def test_what_was_pending_runs_as_soon_as_the_script_is_back(tmp_path):
    host = Host(tmp_path, wait=False)
    host.write("a.lua", WORKS)
    with host.start():
        host.post("scripts/a/pause")
        ids = [host.deliver("issue", envelope(issue=issue(id=str(n)))).json["id"] for n in range(5)]
        os.unlink(os.path.join(host.scripts, "a.lua"))
        host.log(msg="script removed", script="a")
        host.post("scripts/a/resume")
    with host.start():
        host.log(msg="jobs wait for a script that is gone", script="a")
        host.write("a.lua", WORKS)
        for i in ids:
            host.log(msg="job done", delivery=i)


@pytest.mark.parametrize("restart", ["while it is away", "when it is back", "never"])
def test_a_paused_script_stays_paused_while_its_file_is_away(tmp_path, restart):
    host = Host(tmp_path, wait=False)
    host.write("a.lua", WORKS)
    with host.start():
        host.post("scripts/a/pause")
        waiting = host.deliver("issue", envelope(issue=issue(id="1"))).json["id"]
        os.unlink(os.path.join(host.scripts, "a.lua"))
        host.log(msg="script removed", script="a")
        # Something else changes, too: what is gone is tidied up.
        host.write("b.lua", "function on_comment() end")
        host.log(msg="script loaded", script="b")
        assert paused(host) == {"a": True, "b": False}
        if restart == "while it is away":
            assert host.stop() == 0
            host.start()
            host.log(msg="jobs wait for a script that is gone", script="a")
            assert paused(host) == {"a": True, "b": False}
        host.write("a.lua", WORKS)
        host.log(count=1 if restart == "while it is away" else 2, msg="script loaded", script="a")
        if restart == "when it is back":
            assert host.stop() == 0
            host.start()
        assert paused(host) == {"a": True, "b": False}

        # It comes back paused: what it gets now waits as well.
        more = host.deliver("issue", envelope(issue=issue(id="2"))).json["id"]
        other = host.deliver("comment", envelope(comment="hi", project_slug="py", comment_id=1, issue_id=1,
                                                 timestamp="2024-01-01T00:00:00Z")).json["id"]
        host.log(msg="job done", delivery=other)
        assert [host.api(f"deliveries/{i}")["state"] for i in (waiting, more)] == ["pending", "pending"]
        host.post("scripts/a/resume")
        for i in (waiting, more):
            host.log(msg="job done", delivery=i)
