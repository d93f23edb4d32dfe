"""A signed delivery runs a Lua handler: what handlers see, and what they can say."""

import json

from host import Host

COUNT = """
function on_event(event)
  log.info("saw", { resource = event.resource, action = event.action, n = event.data.n })
end
"""


def envelope(action="created", **data):
    return {"action": action, "installation": {"uuid": "24b397fc-a86e-43ef-9297-949e21b82480"}, "data": data,
            "actor": {"type": "user", "id": 789, "name": "Ada"}}


def issue(**fields):
    return dict({"id": "1234567890", "shortId": "PY-1", "title": "Boom", "culprit": "app", "level": "error",
                 "status": "unresolved", "project": {"id": "1", "name": "py", "slug": "py"},
                 "permalink": None}, **fields)


def test_the_handler_of_the_channel_runs_and_its_log_line_carries_the_delivery(tmp_path):
    host = Host(tmp_path, wait=False)
    host.write("triage.lua", """
function on_issue(event)
  log.warn("hello", { title = event.data.issue.title, by = event.actor.name, attempt = event.attempt })
end
function on_comment() error("not this one") end
""")
    with host.start():
        answer = host.deliver("issue", envelope(issue=issue()))
        assert answer.status == 200, answer
        assert answer.json["status"] == "accepted"
        line = host.log(msg="hello")
        assert line["level"] == "warn"
        assert line["script"] == "triage"
        assert line["delivery"] == answer.json["id"]
        assert (line["title"], line["by"], line["attempt"]) == ("Boom", "Ada", 1)
        host.log(msg="job done", delivery=answer.json["id"])


def test_the_look_up_follows_the_table(tmp_path):
    host = Host(tmp_path, wait=False)
    host.write("wide.lua", """
function on_alert(event) log.info("alert", { r = event.resource }) end
function on_event(event) log.info("event", { r = event.resource }) end
""")
    host.write("narrow.lua", """
function on_metric_alert(event) log.info("metric", { r = event.resource }) end
""")
    metric = {"metric_alert": {"id": "1", "status": 20, "type": 2, "alert_rule": {"id": "1", "name": "x"},
                               "title": "t", "projects": ["p"]},
              "description_text": "d", "description_title": "t", "web_url": "https://sentry.io/x"}
    with host.start():
        assert host.deliver("metric_alert", envelope("critical", **metric)).status == 200
        host.log(msg="alert", r="metric_alert")
        host.log(msg="metric", r="metric_alert")
        assert host.deliver("something_new", envelope("made", n=1)).status == 200
        host.log(msg="event", r="something_new")
        assert not host.logged(msg="event", r="metric_alert")


def test_nobody_wants_it(tmp_path):
    host = Host(tmp_path, wait=False)
    host.write("a.lua", "function on_comment() end")
    with host.start():
        answer = host.deliver("issue", envelope(issue=issue()))
        assert answer.status == 200 and answer.json["status"] == "accepted"
        line = host.log(msg="delivery unhandled", delivery=answer.json["id"], resource="issue", action="created")
        assert line["level"] == "info" and line["looked_for"] == "on_issue, on_event"
        answer = host.deliver("of_tomorrow", envelope())
        assert host.log(msg="delivery unhandled", delivery=answer.json["id"])["looked_for"] == "on_event"
    with Host(tmp_path, "--keep-unhandled", "off") as host:
        answer = host.deliver("issue", envelope(issue=issue()))
        assert (answer.status, answer.json) == (200, {"status": "ignored"})
        bad = envelope(issue=issue(level="loud"))
        assert host.deliver("issue", bad).status == 422, "validated all the same"


def test_a_handler_that_nothing_calls_is_told_when_it_is_saved(tmp_path):
    host = Host(tmp_path, wait=False)
    host.write("a.lua", "function on_isue(event) end\nfunction on_error(event) end\n")
    host.write("b.lua", "function on_event(event) end\n")
    with host.start():
        line = host.log(msg="unknown handler", script="a")
        assert (line["level"], line["handler"], line["did_you_mean"]) == ("warn", "on_isue", "on_issue")
        host.write("a.lua", "function on_weather(event) end\n")
        line = host.log(msg="unknown handler", handler="on_weather")
        assert "did_you_mean" not in line
        assert len(host.logged(msg="unknown handler")) == 2


def test_everything_about_an_event_is_there(tmp_path):
    host = Host(tmp_path, wait=False)
    host.write("a.lua", """
function on_issue(event)
  log.info("fields", {
    id = event.id, resource = event.resource, channel = event.channel, action = event.action,
    integration = event.integration, installation = event.installation.uuid, request_id = event.request_id,
    attempt = event.attempt, agent = event.headers["user-agent"], Agent = event.headers["User-Agent"],
    actor = event.actor.id, same = event.data == event.payload.data, received = type(event.received_at),
    timestamp = event.timestamp, signature = tostring(event.headers["sentry-hook-signature"]),
  })
end
""")
    with host.start():
        answer = host.deliver("issue", envelope(issue=issue()), User_Agent="sentry/25 (https://sentry.io)",
                              Request_ID="ab" * 16, Sentry_Hook_Timestamp="1662377141")
        line = host.log(msg="fields")
        assert line["id"] == answer.json["id"]
        assert line["resource"] == line["channel"] == "issue" and line["action"] == "created"
        assert line["integration"] == "default"
        assert line["installation"] == "24b397fc-a86e-43ef-9297-949e21b82480"
        assert line["request_id"] == "ab" * 16
        assert line["agent"] == line["Agent"] == "sentry/25 (https://sentry.io)"
        assert line["actor"] == 789 and line["same"] is True and line["attempt"] == 1
        assert line["signature"] == "nil"


def test_numbers_and_empty_things_survive(tmp_path):
    host = Host(tmp_path, wait=False)
    host.write("a.lua", """
function on_event(event)
  local data = event.data
  log.info("url", { url = "https://sentry.example/projects/" .. data.project .. "/" .. data.big })
  local text = json.encode(data.keep)
  log.info("round", { text = text, again = json.encode(json.decode(text)), null = data.keep.n == json.null,
    kind = math.type(data.project), cjson_null = require("cjson").null == json.null })
end
""")
    keep = '{"a":[],"o":{},"n":null,"deep":[[],{},null,[1,2.5]],"t":"caf\\u00e9"}'
    body = ('{"action":"x","installation":{"uuid":"u"},"data":{"project":4505281256062976,'
            '"big":9223372036854775807,"keep":' + keep + '}}').encode()
    with host.start():
        assert host.deliver("brand_new", body).status == 200
        line = host.log(msg="url")
        assert line["url"] == "https://sentry.example/projects/4505281256062976/9223372036854775807"
        line = host.log(msg="round")
        assert json.loads(line["text"]) == json.loads(keep)
        assert json.loads(line["again"]) == json.loads(keep)
        assert line["null"] is True and line["kind"] == "integer" and line["cjson_null"] is True


def test_a_body_need_not_be_an_object(tmp_path):
    host = Host(tmp_path, wait=False)
    host.write("a.lua", """
function on_event(event)
  log.info("got", { p = json.encode(event.payload), d = json.encode(event.data), i = event.installation == nil })
end
""")
    with host.start():
        for body in ("3", '"x"', "null", "true", "[1,2]", "{}"):
            assert host.deliver("brand_new", body.encode()).status == 200
            line = host.log(msg="got", p=body)
            assert line["d"] == "{}" and line["i"] is True


def test_an_error_is_told_with_file_line_and_traceback(tmp_path):
    host = Host(tmp_path, "--retry-base", "50ms", "--retry-attempts", "2", wait=False)
    host.write("broken.lua", """
local function inner(issue)
  return issue.nothing.here
end
function on_issue(event)
  inner(event.data.issue)
end
""")
    with host.start():
        answer = host.deliver("issue", envelope(issue=issue()))
        line = host.log(msg="handler failed", script="broken")
        assert "scripts/broken.lua:3:" in line["error"], line
        assert "nothing" in line["error"]
        assert "broken.lua:6" in line["traceback"], line
        assert line["delivery"] == answer.json["id"]
        host.log(count=2, msg="handler failed", script="broken")


def test_a_secret_reaches_the_script_and_never_the_log(tmp_path):
    host = Host(tmp_path, env={"PAGER_TOKEN": "s3cr3t-token-value"}, wait=False)
    host.write("a.lua", """
local token = secret "PAGER_TOKEN"
function on_issue(event)
  log.info("using " .. token, { token = token, length = #token, same = token == secret "PAGER_TOKEN" })
  error("failed with " .. token)
end
""")
    host.write("b.lua", """
function on_issue(event) secret "MOONPOST_KEY" end
""")
    with host.start():
        assert host.deliver("issue", envelope(issue=issue())).status == 200
        line = host.log(length=len("s3cr3t-token-value"))
        assert line["same"] is True
        host.log(msg="handler failed", script="a")
        line = host.log(msg="handler failed", script="b")
        assert "MOONPOST_KEY" in line["error"]
        assert "s3cr3t-token-value" not in host.tail(10000)


def test_sleep_yields_so_that_others_run(tmp_path):
    host = Host(tmp_path, "--workers", "1", wait=False)
    host.write("a.lua", """
local gate = false
function on_event(event)
  if event.action == "wait" then
    while not gate do sleep(0.005) end
    log.info("released")
  else
    gate = true
  end
end
""")
    with host.start():
        assert host.deliver("other", envelope("wait")).status == 200
        assert host.deliver("other", envelope("go")).status == 200
        host.log(msg="released")


def test_warn_and_off_let_a_wrong_shape_through(tmp_path):
    host = Host(tmp_path, "--validation", "warn", wait=False)
    host.write("a.lua", """
function on_issue(event)
  log.info("ran", { warnings = #event.warnings, first = event.warnings[1] and event.warnings[1].pointer })
end
""")
    bad = envelope(issue=issue(level="loud"))
    with host.start():
        assert host.deliver("issue", bad).status == 200
        line = host.log(msg="ran")
        assert line["warnings"] == 1 and line["first"] == "/data/issue/level"
        assert host.deliver("issue", envelope(issue=issue())).status == 200
        assert host.log(msg="ran", count=2)["warnings"] == 0


def test_an_integration_of_its_own(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.lua").write_text('function on_event(event) log.info("other", { i = event.integration, '
                                 's = secret "TOKEN" == "of-the-other-one" }) end')
    (tmp_path / "moonpost.lua").write_text(f"""
return {{
  integrations = {{
    billing = {{ client_secret = env "BILLING_SECRET", scripts = {json.dumps(str(other))} }},
  }},
}}
""")
    (tmp_path / "moonpost.lua").chmod(0o600)
    host = Host(tmp_path, env={"BILLING_SECRET": "billing-secret", "billing__TOKEN": "of-the-other-one"}, wait=False)
    host.write("a.lua", 'function on_event(event) log.info("default", { i = event.integration }) end')
    with host.start():
        assert host.deliver("thing", envelope()).status == 200
        assert host.log(msg="default")["i"] == "default"
        assert host.deliver("thing", envelope(), path="/i/billing/webhook").status == 401, "the other's secret"
        assert host.deliver("thing", envelope(), path="/i/billing/webhook", secret="billing-secret").status == 200
        line = host.log(msg="other")
        assert line["i"] == "billing" and line["s"] is True
        assert host.deliver("thing", envelope(), path="/i/nobody/webhook").status == 404
