"""moonpost show ID --fixture: a delivery as a test of its handlers.  The text is
run by a stand-in for the module `testing`, which tells what it was asked for."""

import json
import subprocess

import pytest

from host import MOONPOST, Host, eventually
from peer import Peer
from test_handlers import envelope, issue

STAND_IN = """
local testing = {}
function testing.load(script)
  local t = {}
  function t:http(method, url, answer)
    log.info("expects", { script = script, method = method, url = url, answer = answer })
  end
  function t:deliver(event, payload)
    log.info("delivers", { script = script, event = event, payload = payload })
    return { outcome = "as it was" }
  end
  return t
end
function testing.equal(a, b)
  log.info("compares", { a = a, b = b })
end
return testing
"""

RUNS_IT = """
require "fixture"
function on_event()
  local names = {}
  for name, fn in pairs(_G) do
    if name:find("^test_") then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do _G[name]() end
  log.info("ran", { names = names })
end
"""


def show(host, delivery):
    return subprocess.run([MOONPOST, "show", delivery, "--fixture", "--console", f"127.0.0.1:{host.console_port}"],
                          cwd=host.folder, capture_output=True, text=True, timeout=60)


def ended(host, delivery):
    eventually(lambda: all(j["state"] in ("done", "dead", "dropped") for j in host.api(f"deliveries/{delivery}")["jobs"]),
               "all have run")


def run_by_stand_in(folder, text):
    """What a test file asks of `testing`: by the message of the log line."""
    host = Host(folder, wait=False)
    host.write("lib/stand_in.lua", STAND_IN)
    host.write("lib/fixture.lua", text.replace('require "testing"', 'require "stand_in"'))
    host.write("runs.lua", RUNS_IT)
    with host.start():
        assert host.deliver("thing", envelope()).status == 200
        ran = host.log(msg="ran")
        return ran["names"], {m: host.logged(msg=m) for m in ("expects", "delivers", "compares")}


def test_it_delivers_the_same_again(tmp_path):
    secret = "hush-hush-hush"
    odd = {"end": 1, "a-b": "q\"\\\n\t\x01\x7f\u00e4\u2028]]", "": None, "n": [1, None, [], {}, [[]], 1.5, -0.0, 1e300],
           "big": 9007199254740993, "least": -9223372036854775808, "most": 9223372036854775807, "x": [True, False],
           "key": "-- " + secret, "deep": json.loads("[" * 100 + "]" * 100)}
    body = envelope(**issue(metadata=odd))
    with Peer(lambda r: (201, "{}")) as peer:
        host = Host(tmp_path / "a", "--dev", "--retry-attempts", "1", env={"TOKEN": secret, "URL": peer.url}, wait=False)
        host.write("good-one.lua", """
function on_issue(event)
  http.post(secret "URL" .. "/new?token=" .. secret "TOKEN", { json = {} })
end""")
        host.write("bad.lua", 'function on_issue() error("two\\nlines\\") os.exit()") end')
        host.write("drops.lua", 'function on_issue(event) event:drop("no") end')
        with host.start():
            delivery = host.deliver("issue", body).json["id"]
            ended(host, delivery)
            shown = show(host, delivery)
            assert (shown.returncode, shown.stderr) == (0, "")
            text = shown.stdout
            payload = host.api(f"deliveries/{delivery}")["payload"]
    assert secret not in text and "[redacted]" in text
    names, asked = run_by_stand_in(tmp_path / "b", text)
    assert names == ["test_delivery_1_bad", "test_delivery_1_drops", "test_delivery_1_good_one"]
    by_script = {line["script"] if "payload" in line else None: line for line in asked["delivers"]}
    assert len(asked["delivers"]) == 3
    for line in asked["delivers"]:
        assert line["event"] == "issue.created"
        assert line["payload"] == payload, by_script
    assert [(c["a"], c["b"]) for c in asked["compares"]] == [("as it was", "done"), ("as it was", "dropped"),
                                                             ("as it was", "done")]
    expected, = asked["expects"]
    assert (expected["method"], expected["answer"]) == ("POST", {"status": 201})
    assert expected["url"] == "[redacted]/new?token=[redacted]"


def test_the_code_of_an_installation_is_redacted(tmp_path):
    host = Host(tmp_path, wait=False)
    host.write("a.lua", "function on_installation() end")
    with host.start():
        body = {"action": "created", "actor": {"type": "user", "id": 1, "name": "x"},
                "installation": {"uuid": "24b397fc-a86e-43ef-9297-949e21b82480"},
                "data": {"installation": {"uuid": "24b397fc-a86e-43ef-9297-949e21b82480", "code": "c0de-c0de-c0de",
                                          "status": "installed", "app": {"uuid": "x", "slug": "y"},
                                          "organization": {"slug": "z"}}}}
        delivery = host.deliver("installation", body).json["id"]
        text = show(host, delivery).stdout
        assert "c0de" not in text and 'code = "[redacted]"' in text


def test_one_that_nobody_got_says_what_to_do(tmp_path):
    with Host(tmp_path / "a") as host:
        delivery = host.deliver("strange.thing", envelope(None)).json["id"]
        shown = show(host, delivery)
        assert shown.returncode == 0 and "name the one to be tested" in shown.stdout
    names, asked = run_by_stand_in(tmp_path / "b", shown.stdout)
    assert names == ["test_delivery_1_my_script"]
    assert asked["delivers"][0]["event"] == "strange.thing"


@pytest.mark.parametrize("depth, status", [(170, 0), (400, 1)])
def test_it_is_not_nested_deeper_than_lua_reads(tmp_path, depth, status):
    with Host(tmp_path / "a") as host:
        raw = json.dumps(envelope()).replace('"data": {}', '"data": {"deep": %s}' % ("[" * depth + "1" + "]" * depth)).encode()
        delivery = host.deliver("strange", raw).json["id"]
        shown = show(host, delivery)
        assert shown.returncode == status
    if status == 0:
        names, _ = run_by_stand_in(tmp_path / "b", shown.stdout)
        assert names == ["test_delivery_1_my_script"]
    else:
        assert shown.stdout == "" and "nested deeper" in shown.stderr
