"""The options about what is kept, how long, and when it is tried again: each does what its name says."""

import datetime

import pytest

from host import Host, eventually
from test_handlers import envelope, issue

HOUR_S = 3600


def when(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def send(host, n=0, **fields):
    return host.deliver("issue", envelope(issue=issue(id=str(n), **fields)))


def states(host):
    return {d["id"]: d["state"] for d in host.api("deliveries", limit=500)["deliveries"]}


SOME_OF_EACH = """
function on_issue(event)
  local level = event.data.issue.level
  if level == "fatal" then error("no") end
  if level == "info" then event:drop("no") end
  if level == "warning" then event:retry { after = 3600 } end
end
"""


def some_of_each(host):
    """One delivery of each state that there is at rest; by its state."""
    ids = {"done": send(host, 1).json["id"], "dead": send(host, 2, level="fatal").json["id"],
           "dropped": send(host, 3, level="info").json["id"], "retrying": send(host, 4, level="warning").json["id"],
           "invalid": send(host, 5, level="loud").json["id"],
           "unhandled": host.deliver("strange", envelope()).json["id"]}
    return ids


def settled(host, ids):
    def is_so():
        now = states(host)
        return all(now.get(i) == s for s, i in ids.items())
    try:
        eventually(is_so, "each has its state")
    except AssertionError as e:
        raise AssertionError(f"{e}: {states(host)} of {ids}") from None


@pytest.mark.parametrize("option, gone", [("--retain-done", {"done", "dropped", "unhandled"}),
                                          ("--retain-dead", {"dead", "invalid"})])
def test_what_is_old_goes_by_its_state(tmp_path, option, gone):
    host = Host(tmp_path, "--retry-attempts", "2", "--retry-base", "10ms", wait=False)
    host.write("a.lua", SOME_OF_EACH)
    with host.start():
        ids = some_of_each(host)
        settled(host, ids)
    host.options += (option, "1s")
    with host.start():
        left = {s: i for s, i in ids.items() if s not in gone}
        eventually(lambda: set(states(host)) == set(left.values()), "the others are gone")
        settled(host, left)
        for i in set(ids.values()) - set(left.values()):
            assert host.console("GET", f"/api/deliveries/{i}").status == 404


def test_a_key_is_a_duplicate_within_the_window_only(tmp_path):
    with Host(tmp_path, "--dedupe-window", "1s") as host:
        body = envelope(issue=issue())
        first = host.deliver("issue", body, key="k").json
        assert first["status"] == "accepted"
        last = eventually(lambda: (lambda a: a["status"] == "accepted" and a)(host.deliver("issue", body, key="k").json),
                          "the window is over")
        assert last["id"] != first["id"]

    # The key outlives the host, and the delivery.
    with Host(tmp_path, "--dedupe-window", "1h", "--retain-done", "1s") as host:
        first = host.deliver("issue", body, key="new").json
        assert first["status"] == "accepted"
        eventually(lambda: host.console("GET", f"/api/deliveries/{first['id']}").status == 404, "it is gone")
        assert host.deliver("issue", body, key="new").json == {"status": "duplicate", "id": first["id"]}
        assert host.stop() == 0
        host.start()
        assert host.deliver("issue", body, key="new").json == {"status": "duplicate", "id": first["id"]}


def test_a_failure_is_tried_so_often(tmp_path):
    host = Host(tmp_path, "--retry-attempts", "4", "--retry-base", "1ms", "--retry-max", "5ms", wait=False)
    host.write("a.lua", 'function on_issue(event) error("attempt " .. event.attempt) end')
    with host.start():
        delivery = send(host).json["id"]
        eventually(lambda: states(host)[delivery] == "dead", "it is dead")
        job, = host.api(f"deliveries/{delivery}")["jobs"]
        assert job["attempts"] == 4 and job["next_at"] is None
        assert [r["error"][-9:] for r in job["runs"]] == [f"attempt {n}" for n in range(1, 5)]


def test_the_wait_is_between_half_and_all_of_it(tmp_path):
    low, high = 1 * HOUR_S, 2 * HOUR_S
    host = Host(tmp_path, "--retry-base", "2h", "--retry-max", "10h", wait=False)
    host.write("a.lua", 'function on_issue() error("no") end')
    with host.start():
        ids = [send(host, n).json["id"] for n in range(20)]
        eventually(lambda: set(states(host).values()) == {"retrying"}, "all have failed")
        waits = []
        for i in ids:
            job, = host.api(f"deliveries/{i}")["jobs"]
            run, = job["runs"]
            waits.append(when(job["next_at"]) - when(run["started_at"]) - run["duration_ms"] / 1000)
            assert job["attempts"] == 1
        # A run is over a little after its handler is.
        assert all(low - 1 <= wait <= high + 30 for wait in waits), waits
        assert max(waits) - min(waits) > (high - low) / 10, "each at a time of its own"


def test_so_many_run_side_by_side(tmp_path):
    host = Host(tmp_path, "--concurrency", "3", wait=False)
    host.write("a.lua", "function on_issue() while not kv.get('go') do sleep(0.01) end end")
    host.write("b.lua", "function on_comment() kv.set('go', true) end")
    with host.start():
        for n in range(10):
            assert send(host, n).status == 200

        def counts():
            return next((s["running"], s["pending"]) for s in host.api("scripts")["scripts"] if s["name"] == "a")
        eventually(lambda: counts() == (3, 7), "three run")
        assert sorted(states(host).values()) == ["pending"] * 7 + ["running"] * 3
        assert host.deliver("comment", envelope(comment="hi", project_slug="py", comment_id=1, issue_id=1,
                                                timestamp="2024-01-01T00:00:00Z")).status == 200
        eventually(lambda: set(states(host).values()) == {"done"}, "all have run")
