"""step and kv with the real program: over retries, restarts and kills, and among many at once."""

import json
import uuid

from host import Host, eventually
from peer import Peer
from test_handlers import envelope, issue

RETRIES = ("--retry-base", "20ms", "--retry-max", "50ms")

# One step, an error while the gate is closed, another step.
TWO_STEPS = """
function on_issue(event)
  local ticket = step("ticket", function(key)
    log.info("opens a ticket", { key = key })
    sleep(0.01)
    return { id = 4505281256062976, labels = json.array{} }
  end)
  assert(math.type(ticket.id) == "integer" and json.encode(ticket.labels) == "[]")
  log.info("has the ticket", { id = ticket.id, attempt = event.attempt })
  if not kv.get("gate") then error("the gate is closed") end
  local note = step("note", function(key)
    log.info("writes a note", { key = key })
  end)
  assert(note == nil)
  log.info("through", { attempt = event.attempt })
end
function on_comment() kv.set("gate", true) end
"""


def comment():
    return envelope(comment_id=1, issue_id=2, project_slug="py", timestamp="2026-01-01T00:00:00Z", comment="x")


def open_gate(host):
    answer = host.deliver("comment", comment())
    assert answer.status == 200, answer
    host.log(msg="job done", delivery=answer.json["id"])


def run(host, source, script="a"):
    """Save a script, run it once, and return when it has run to its end."""
    token = uuid.uuid4().hex
    host.write(script + ".lua", f"""
local ran
function on_event(event)
  if event.data.token ~= "{token}" or ran then return end
  ran = true
{source}
  log.info("ran to its end", {{ token = "{token}" }})
end
""")
    # Deliveries from before it was live went to nobody.
    def ended():
        assert host.deliver("thing", envelope(token=token)).status == 200
        assert not host.logged(msg="handler failed"), host.tail()
        return host.logged(token=token)
    eventually(ended, f"a run of {script}", pause=0.05)
    # None is left for a handler that comes later.
    waits = ("pending", "running", "retrying")
    eventually(lambda: not any(host.api("deliveries", state=s)["deliveries"] for s in waits), "all have run")


def test_a_retry_does_not_run_again_what_was_recorded(tmp_path):
    host = Host(tmp_path, *RETRIES, wait=False)
    host.write("a.lua", TWO_STEPS)
    with host.start():
        delivery = host.deliver("issue", envelope(issue=issue())).json["id"]
        host.log(count=2, msg="handler failed", delivery=delivery)
        open_gate(host)
        host.log(msg="through", delivery=delivery)
        host.log(msg="job done", delivery=delivery)
        assert len(host.logged(msg="opens a ticket")) == 1
        assert len(host.logged(msg="writes a note")) == 1
        assert len(host.logged(msg="has the ticket", id=4505281256062976)) >= 3


def test_nor_does_the_host_after_it_was_killed(tmp_path):
    host = Host(tmp_path, *RETRIES, wait=False)
    host.write("a.lua", TWO_STEPS)
    with host.start():
        delivery = host.deliver("issue", envelope(issue=issue())).json["id"]
        host.log(msg="has the ticket", delivery=delivery)
        host.log(msg="handler failed", delivery=delivery)
        host.kill()
        host.start()
        open_gate(host)
        host.log(msg="through", delivery=delivery)
        assert not host.logged(msg="opens a ticket")
        assert len(host.logged(msg="writes a note")) == 1


def test_a_kill_right_after_a_step_loses_none_of_it(tmp_path):
    host = Host(tmp_path, *RETRIES, wait=False)
    host.write("a.lua", """
function on_issue(event)
  local n = step("count", function() return kv.incr("n") end)
  log.info("counted", { n = n, total = kv.get("n") })
  if not kv.get("gate") then sleep(20) end
end
function on_comment() kv.set("gate", true) end
""")
    with host.start():
        delivery = host.deliver("issue", envelope(issue=issue())).json["id"]
        host.log(msg="counted", n=1)
        # Each time it had waited when the host died, so it runs again.
        host.kill()
        host.start()
        host.log(msg="counted", n=1, total=1, delivery=delivery)
        open_gate(host)
        host.kill()
        host.start()
        host.log(msg="job done", delivery=delivery)
        assert host.log(msg="counted", delivery=delivery)["total"] == 1


def test_the_idempotency_key_is_the_same_on_every_attempt(tmp_path):
    host = Host(tmp_path, *RETRIES, wait=False)
    host.write("a.lua", """
function on_issue(event)
  step("fails", function(key) log.info("key", { key = key, name = "fails" }) error("no") end)
end
""")
    host.write("b.lua", """
function on_issue(event)
  step("fails", function(key) log.info("key", { key = key, name = "b" }) end)
  step("other", function(key) log.info("key", { key = key, name = "b" }) end)
end
""")
    with host.start():
        delivery = host.deliver("issue", envelope(issue=issue())).json["id"]
        host.log(count=2, msg="key", name="fails")
        host.log(msg="job done", script="b")
        host.kill()
        before = host.logged(msg="key")
        host.start()
        host.log(msg="key", name="fails", delivery=delivery)
        keys = {line["key"] for line in host.logged(msg="key") + before if line["name"] == "fails"}
        others = {line["key"] for line in before if line["name"] == "b"}
        assert len(keys) == 1 and len(others) == 2 and not keys & others
        assert all(len(key) == 32 and int(key, 16) >= 0 for key in keys | others)

        # Another delivery of the same has another key.
        host.deliver("issue", envelope(issue=issue()))
        eventually(lambda: len({line["key"] for line in host.logged(msg="key", name="fails")}) == 2, "a key of its own")


def test_a_name_twice_in_a_run_is_an_error(tmp_path):
    host = Host(tmp_path, "--retry-attempts", "1", wait=False)
    host.write("a.lua", """
function on_issue(event)
  step("same", function() log.info("ran") end)
  step("same", function() log.info("ran") end)
end
""")
    with host.start():
        host.deliver("issue", envelope(issue=issue()))
        line = host.log(msg="handler failed")
        assert "a.lua:4: step 'same' was used before in this run" in line["error"], line
        assert len(host.logged(msg="ran")) == 1


def test_what_is_too_large_is_an_error_that_says_so(tmp_path):
    host = Host(tmp_path, "--retry-attempts", "1", wait=False)
    host.write("a.lua", 'function on_issue() step("big", function() return ("x"):rep(70000) end) end')
    host.write("b.lua", 'function on_issue() kv.set("big", ("x"):rep(70000)) end')
    host.write("c.lua", 'function on_issue() kv.set("text", "x") kv.incr("text") end')
    with host.start():
        host.deliver("issue", envelope(issue=issue()))
        assert "step 'big': the value is too large: more than 65536 bytes" in \
            host.log(msg="handler failed", script="a")["error"]
        assert "kv.set: the value is too large" in host.log(msg="handler failed", script="b")["error"]
        assert "kv.incr: the value of the key is not an integer" in host.log(msg="handler failed", script="c")["error"]


def test_kv_is_shared_by_scripts_and_survives(tmp_path):
    host = Host(tmp_path)
    with host:
        run(host, """
  kv.set("a/1", { n = 9007199254740993, empty = json.array{}, null = json.null })
  assert(kv.add("a/2", "first") == true and kv.add("a/2", "second") == false)
  assert(kv.incr("b/count") == 1 and kv.incr("b/count", 41) == 42)
  kv.set("gone", 1) assert(kv.delete("gone") and not kv.delete("gone"))
""", script="writer")
        for restart in (host.stop, host.kill):
            restart()
            host.start()
            run(host, """
  local v = kv.get("a/1")
  assert(v.n == 9007199254740993 and json.encode(v.empty) == "[]" and v.null == json.null)
  assert(kv.get("a/2") == "first" and kv.get("gone") == nil)
  assert(kv.get("b/count") == 42 and math.type(kv.get("b/count")) == "integer")
  assert(table.concat(kv.list("a/"), " ") == "a/1 a/2" and #kv.list("none") == 0)
  assert(table.concat(kv.list(), " ") == "a/1 a/2 b/count")
""", script="reader")


def test_a_ttl_ends(tmp_path):
    host = Host(tmp_path)
    with host:
        run(host, """
  kv.set("short", 1, { ttl = 0.05 })
  kv.set("long", 1, { ttl = "1h" })
  while kv.get("short") do sleep(0.01) end
  assert(kv.add("short", 2, { ttl = "20ms" }))
  while #kv.list("short") > 0 do sleep(0.01) end
  assert(kv.incr("short") == 1)
  kv.set("long", 2)
""")
        host.stop()
        host.start()
        run(host, 'assert(kv.get("short") == 1 and kv.get("long") == 2)')


def test_integrations_do_not_see_each_other(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.lua").write_text("""
function on_event(event)
  log.info("other", { x = tostring(kv.get("x")), keys = #kv.list(), n = kv.incr("n") })
end
""")
    (tmp_path / "moonpost.lua").write_text(f"""
return {{ integrations = {{ billing = {{ client_secret = "billing-secret", scripts = {json.dumps(str(other))} }} }} }}
""")
    (tmp_path / "moonpost.lua").chmod(0o600)
    host = Host(tmp_path)
    with host:
        run(host, 'kv.set("x", "mine") kv.incr("n", 10)')
        assert host.deliver("thing", envelope(), path="/i/billing/webhook", secret="billing-secret").status == 200
        line = host.log(msg="other")
        assert (line["x"], line["keys"], line["n"]) == ("nil", 0, 1)


def test_fifty_at_once_count_to_fifty(tmp_path):
    host = Host(tmp_path, "--workers", "2", wait=False)
    for name in ("a", "b"):
        host.write(name + ".lua", """
function on_event(event)
  local old = kv.get("n") or 0
  sleep(0.01)
  log.info("counted", { n = kv.incr("n"), old = old })
end
""")
    with host.start():
        for _ in range(25):
            assert host.deliver("thing", envelope()).status == 200
        host.log(count=50, msg="counted")
        assert sorted(line["n"] for line in host.logged(msg="counted")) == list(range(1, 51))


def test_a_flood_of_questions_is_answered(tmp_path):
    """More at once than a worker may have open, from jobs that write as much as they may."""
    host = Host(tmp_path, "--workers", "1", "--concurrency", "200", wait=False)
    host.write("a.lua", """
function on_event(event)
  for i = 1, 5 do
    kv.set("k" .. event.id % 10 .. "/" .. i, ("x"):rep(60000))
    assert(#kv.get("k" .. event.id % 10 .. "/" .. i) == 60000)
    step("s" .. i, function() return ("y"):rep(1000) end)
  end
end
""")
    with host.start():
        for _ in range(200):
            assert host.deliver("thing", envelope()).status == 200
        host.log(count=200, msg="job done")
        assert not host.logged(level="error")


def test_retry_and_drop_say_what_becomes_of_a_job(tmp_path):
    host = Host(tmp_path, wait=False)
    host.write("a.lua", """
function on_issue(event)
  step("once", function() log.info("once") end)
  if event.attempt == 1 then event:retry{ after = 0.1, reason = "not yet" } end
  pcall(event.drop, event, "enough of it")
  log.info("not reached")
end
""")
    with host.start():
        delivery = host.deliver("issue", envelope(issue=issue())).json["id"]
        line = host.log(msg="retry asked for", delivery=delivery)
        assert (line["error"], line["state"], line["attempt"]) == ("not yet", "retrying", 1)
        assert line["retry_in_ms"] == 100
        line = host.log(msg="job dropped", delivery=delivery)
        assert (line["reason"], line["attempt"]) == ("enough of it", 2)
        assert len(host.logged(msg="once")) == 1
        assert not host.logged(msg="not reached")


def test_the_console_shows_what_a_run_did(tmp_path):
    host = Host(tmp_path, *RETRIES, "--allow-host", "127.0.0.1", env={"PEER_KEY": "s3cr3t-peer-key"}, wait=False)
    with Peer(lambda request: (201, {"key": "OPS-1"})) as peer:
        host.write("a.lua", f"""
function on_issue(event)
  local key = step("jira", function(idempotency_key)
    local res = assert(http.post("{peer.url}/rest?k=" .. secret "PEER_KEY", {{ json = {{}},
      headers = {{ ["Idempotency-Key"] = idempotency_key }} }}))
    return res:json().key
  end)
  log.info("linked", {{ ticket = key, secret = secret "PEER_KEY" }})
  if event.attempt == 1 then error("later " .. secret "PEER_KEY") end
end
""")
        with host.start():
            delivery = host.deliver("issue", envelope(issue=issue())).json["id"]
            host.log(msg="job done", delivery=delivery)
            assert len(peer.requests) == 1 and len(peer.requests[0].headers["Idempotency-Key"]) == 32
            text = host.console("GET", f"/api/deliveries/{delivery}")
            assert text.status == 200 and b"s3cr3t-peer-key" not in text.body
            [job] = text.json["jobs"]
            assert (job["state"], job["attempts"]) == ("done", 2)
            first, second = sorted(job["runs"], key=lambda run: run["n"])
            assert (first["outcome"], second["outcome"]) == ("error", "done")
            assert "a.lua:9: later" in first["error"] and first["traceback"]
            assert first["memory_bytes"] > 0 and first["cpu_ms"] >= 0 and first["duration_ms"] >= 0
            assert [(line["level"], line["message"], line["fields"]["ticket"]) for line in first["log"]] == \
                [("info", "linked", "OPS-1")]
            [call] = first["calls"]
            assert (call["method"], call["status"], call["error"]) == ("POST", 201, None)
            assert call["url"].startswith(peer.url + "/rest?k=") and call["duration_ms"] >= 0
            assert not second["calls"]
            [step] = job["steps"]
            assert (step["name"], step["result"]) == ("jira", "OPS-1") and step["at"]
