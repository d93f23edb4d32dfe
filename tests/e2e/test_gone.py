"""A script that is deleted while it has jobs: they wait for it."""

import os

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


def test_what_was_pending_runs_as_soon_as_the_script_is_back(tmp_path):
    host = Host(tmp_path, wait=False)
    host.write("a.lua", WORKS)
    with host.start():
        host.post("scripts/a/pause")
        ids = [host.deliver("issue", envelope(issue=issue(id=str(n)))).json["id"] for n in range(5)]
        os.unlink(os.path.join(host.scripts, "a.lua"))
        host.log(msg="script removed", script="a")
    with host.start():
        host.log(msg="jobs wait for a script that is gone", script="a")
        host.write("a.lua", WORKS)
        eventually(lambda: states(host)["a"][0] == "loaded", "it is back")
        host.post("scripts/a/resume")
        for i in ids:
            host.log(msg="job done", delivery=i)
