"""Who runs when: the order within an issue, and that nobody starves anybody."""

from host import Host, eventually
from test_handlers import envelope, issue

# Each run tells when it begins and when it ends; what it does between is up to the title.
HANDLER = """
local seconds = { slow = 20, long = 1, short = 0.02 }
function on_issue(event)
  local i = event.data.issue
  log.info("begin", { n = i.title, issue = i.id, attempt = event.attempt })
  if i.culprit == "fails once" and event.attempt == 1 then error("once") end
  if i.culprit == "fails" then error("always") end
  if seconds[i.culprit] then sleep(seconds[i.culprit]) end
  log.info("end", { n = i.title, issue = i.id })
end
"""


def send(host, n, key, how="short"):
    answer = host.deliver("issue", envelope(issue=issue(title=str(n), id=str(key), culprit=how)))
    assert answer.status == 200, answer
    return answer.json["id"]


def serve(tmp_path, *options, **scripts):
    host = Host(tmp_path, *options, wait=False)
    for name, source in scripts.items():
        host.write(name + ".lua", source)
    return host.start()


def story(host, **fields):
    """(begin or end, n) in the order in which it happened."""
    return [(line["msg"], line["n"]) for line in list(host.lines)
            if line.get("msg") in ("begin", "end") and all(line.get(k) == v for k, v in fields.items())]


def test_one_issue_goes_one_after_the_other_in_order_of_arrival(tmp_path):
    with serve(tmp_path, a=HANDLER) as host:
        for n in range(30):
            send(host, n, "1")
        host.log(msg="end", n="29")
        assert story(host) == [(what, str(n)) for n in range(30) for what in ("begin", "end")]


def test_different_issues_go_side_by_side(tmp_path):
    with serve(tmp_path, a=HANDLER) as host:
        for n in range(8):
            send(host, n, n, "long")
        host.log(count=8, msg="end")
        assert [what for what, _ in story(host)] == ["begin"] * 8 + ["end"] * 8


def test_what_has_no_issue_has_no_order(tmp_path):
    with serve(tmp_path, a="""
function on_event(event)
  log.info("begin", { n = event.data.n })
  sleep(1)
  log.info("end", { n = event.data.n })
end""") as host:
        for n in range(8):
            assert host.deliver("something_new", envelope("made", n=n)).status == 200
        host.log(count=8, msg="end")
        assert [what for what, _ in story(host)] == ["begin"] * 8 + ["end"] * 8


def test_the_concurrency_of_a_script_is_kept(tmp_path):
    with serve(tmp_path, "--concurrency", "3", a=HANDLER) as host:
        for n in range(7):
            send(host, n, n, "long")
        host.log(count=7, msg="end")
        running = most = 0
        for what, _ in story(host):
            running += 1 if what == "begin" else -1
            most = max(most, running)
        assert most == 3


def test_a_retry_gives_its_issue_up(tmp_path):
    with serve(tmp_path, "--retry-base", "4s", a=HANDLER) as host:
        send(host, "first", "1", "fails once")
        host.log(msg="handler failed")
        send(host, "second", "1")
        host.log(msg="end", n="first")
        assert story(host) == [("begin", "first"), ("begin", "second"), ("end", "second"),
                               ("begin", "first"), ("end", "first")]


def test_strictly_a_retry_holds_its_issue_and_no_other(tmp_path):
    with serve(tmp_path, "--retry-base", "2s", "--ordering", "strict", a=HANDLER) as host:
        send(host, "first", "1", "fails once")
        host.log(msg="handler failed")
        send(host, "second", "1")
        send(host, "other", "2")
        host.log(msg="end", n="second")
        assert story(host, issue="1") == [("begin", "first"), ("begin", "first"), ("end", "first"),
                                          ("begin", "second"), ("end", "second")]
        lines = story(host)
        assert lines.index(("end", "other")) < lines.index(("end", "first"))


def test_strictly_the_order_holds_across_a_restart(tmp_path):
    host = serve(tmp_path, "--retry-base", "3s", "--ordering", "strict", a=HANDLER)
    send(host, "first", "1", "fails once")
    host.log(msg="handler failed")
    eventually(lambda: host.api("deliveries")["deliveries"][0]["state"] == "retrying", "that is kept")
    send(host, "second", "1")
    host.kill()
    with Host(tmp_path, "--retry-base", "3s", "--ordering", "strict") as host:
        host.log(msg="end", n="second")
        assert story(host) == [("begin", "first"), ("end", "first"), ("begin", "second"), ("end", "second")]


def test_a_dead_job_lets_the_next_of_its_issue_go(tmp_path):
    with serve(tmp_path, "--retry-attempts", "2", "--retry-base", "50ms", "--ordering", "strict", a=HANDLER) as host:
        send(host, "first", "1", "fails")
        send(host, "second", "1")
        host.log(msg="end", n="second")
        assert story(host) == [("begin", "first"), ("begin", "first"), ("begin", "second"), ("end", "second")]


def test_a_noisy_issue_does_not_starve_the_others(tmp_path):
    with serve(tmp_path, "--concurrency", "4", a=HANDLER) as host:
        for n in range(200):
            send(host, n, "noisy", "long" if n == 0 else "short")
        send(host, "quiet", "quiet")
        host.log(msg="end", n="quiet")
        assert len(story(host, issue="noisy")) < 200, "it did not wait for all of those"


def test_a_slow_script_does_not_starve_the_others(tmp_path):
    with serve(tmp_path, "--drain-timeout", "100ms", "--workers", "1", slow="""
function on_issue() sleep(20) end""", b=HANDLER) as host:
        for n in range(100):
            send(host, n, n)
        host.log(count=100, msg="end", script="b")
        assert not host.logged(msg="job done", script="slow")


def test_a_script_that_always_fails_does_not_starve_the_others(tmp_path):
    with serve(tmp_path, "--workers", "1", "--retry-base", "10ms", "--retry-max", "20ms", "--retry-attempts", "1000",
               broken="function on_issue() error('no') end", b=HANDLER) as host:
        for n in range(100):
            send(host, n, n)
        host.log(msg="script is throttled to one job at a time", script="broken")
        for n in range(100, 200):
            send(host, n, n)
        host.log(count=200, msg="end", script="b")
        assert not host.logged(msg="job done", script="broken")
        eventually(lambda: {s["name"]: s["throttled"] for s in host.api("scripts")["scripts"]}
                   == {"broken": True, "b": False}, "only one is throttled")


def test_it_recovers_from_the_throttle_when_it_is_mended(tmp_path):
    with serve(tmp_path, "--retry-base", "10ms", "--retry-max", "50ms", "--retry-attempts", "1000",
               a="function on_issue() error('no') end") as host:
        for n in range(60):
            send(host, n, n)
        host.log(msg="script is throttled to one job at a time", script="a")
        host.write("a.lua", HANDLER)
        host.log(count=60, msg="end")
        assert host.api("deliveries", state="done", limit=100)["next"] is None
        assert len(host.api("deliveries", state="done", limit=100)["deliveries"]) == 60
