"""What a sender is answered, row by row of the contract."""

import glob
import json
import os
import socket
import time

import pytest
from host import ROOT, Host, sign
from test_handlers import envelope, issue

HERE = os.path.dirname(os.path.abspath(__file__))
SHARED = os.environ.get("MOONPOST_SHARED") or os.path.join(os.path.dirname(ROOT), "shared")
BODIES = sorted(glob.glob(os.path.join(HERE, "payloads", "*.json")) +
                [f for f in glob.glob(os.path.join(SHARED, "payloads", "*.json"))
                 if not os.path.basename(f).startswith(("ui.", "api.", "oauth."))])


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    host = Host(tmp_path_factory.mktemp("answers"), wait=False)
    host.write("all.lua", "function on_event() end")
    with host.start():
        yield host


def test_there_are_bodies():
    assert len(BODIES) >= 20


@pytest.mark.parametrize("path", BODIES, ids=os.path.basename)
def test_real_bodies_are_accepted(host, path):
    with open(path) as f:
        body = json.load(f)
    resource = os.path.basename(path).split(".")[0]
    # As Sentry's serializer writes them: compact, ASCII.
    answer = host.deliver(resource, json.dumps(body, separators=(",", ":")).encode())
    assert (answer.status, answer.json["status"]) == (200, "accepted"), answer
    # And raw UTF-8 is signed and read as it is.
    answer = host.deliver(resource, json.dumps(body, ensure_ascii=False).encode())
    assert answer.status == 200, answer


GOOD = json.dumps(envelope(issue=issue()), separators=(",", ":")).encode()


def test_a_signature_may_come_in_either_header(host):
    assert host.deliver("issue", GOOD).status == 200
    assert host.deliver("issue", GOOD, Sentry_Hook_Signature=None, Sentry_App_Signature=sign(GOOD)).status == 200


@pytest.mark.parametrize("signature, reason", [
    (None, "neither Sentry-Hook-Signature nor Sentry-App-Signature was sent"),
    ("abc", "not 64 characters long"),
    ("z" * 64, "not 64 hexadecimal digits"),
    ("sha256=" + sign(GOOD), "not 64 characters long"),
    (sign(GOOD, "another"), "no secret matches"),
    (sign(GOOD + b"\n"), "no secret matches"),
    (sign(json.dumps(json.loads(GOOD)).encode()), "after the JSON was written anew"),
])
def test_a_wrong_signature_gets_one_answer_and_the_log_says_why(host, signature, reason):
    before = len(host.logged(error="bad_signature"))
    answer = host.deliver("issue", GOOD, Sentry_Hook_Signature=signature)
    assert (answer.status, answer.json) == (401, {"error": "bad_signature"})
    line = host.log(error="bad_signature", count=before + 1)
    assert reason in line["reason"], line


def test_a_trailing_newline_that_was_not_signed_is_recognised(host):
    before = len(host.logged(error="bad_signature"))
    answer = host.deliver("issue", GOOD + b"\n", Sentry_Hook_Signature=sign(GOOD))
    assert answer.status == 401
    assert "newline" in host.log(error="bad_signature", count=before + 1)["reason"]


def test_a_changed_byte_is_refused(host):
    for at in (0, len(GOOD) // 2, len(GOOD) - 1):
        changed = GOOD[:at] + bytes([GOOD[at] ^ 1]) + GOOD[at + 1:]
        assert host.deliver("issue", changed, Sentry_Hook_Signature=sign(GOOD)).status == 401


def test_signed_but_not_json(host):
    answer = host.deliver("issue", b'{"action":"created",}')
    assert answer.status == 400
    assert answer.json["error"] == "invalid_json" and answer.json["offset"] == 20
    assert host.deliver("issue", b"").json["offset"] == 0


def test_no_resource_header(host):
    answer = host.deliver(None, GOOD)
    assert answer.status == 400
    assert (answer.json["error"], answer.json["header"].lower()) == ("missing_header", "sentry-hook-resource")


@pytest.mark.parametrize("change, pointer", [
    (lambda b: b.pop("action"), "/action"),
    (lambda b: b.pop("installation"), "/installation"),
    (lambda b: b.update(action="craeted"), "/action"),
    (lambda b: b["data"]["issue"].update(level="loud"), "/data/issue/level"),
    (lambda b: b["data"]["issue"].update(status=7), "/data/issue/status"),
    (lambda b: b["data"].update(issue=[]), "/data/issue"),
    (lambda b: b["actor"].update(type="robot"), "/actor/type"),
    (lambda b: b.update(installation={"uuid": 1}), "/installation/uuid"),
])
def test_the_wrong_shape_is_refused_with_its_place_and_kept(host, change, pointer):
    body = json.loads(GOOD)
    change(body)
    answer = host.deliver("issue", body)
    assert answer.status == 422, answer
    assert answer.json["error"] == "schema_violation"
    assert answer.json["pointer"] == pointer
    assert answer.json["message"] and answer.json["id"]


def test_the_checks_come_in_their_order(host):
    assert host.deliver("issue", b"not json", Sentry_Hook_Signature="0" * 64).status == 401, "signature before JSON"
    assert host.deliver(None, b"not json").json["error"] == "missing_header", "resource before JSON"
    assert host.deliver("issue", b"x" * 2_000_000, Sentry_Hook_Signature="0" * 64).status == 413, "length before all"
    assert host.deliver("issue", GOOD, Content_Type="text/plain", Sentry_Hook_Signature="0" * 64).status == 415


def test_content_types(host):
    for good in ("application/json", "application/json; charset=utf-8", "Application/JSON", None):
        assert host.deliver("issue", GOOD, Content_Type=good).status == 200, good
    for bad in ("text/plain", "application/x-www-form-urlencoded"):
        answer = host.deliver("issue", GOOD, Content_Type=bad)
        assert (answer.status, answer.json["error"]) == (415, "unsupported_media_type")


def test_routes_and_methods(host):
    answer = host.request("GET", "/webhook")
    assert (answer.status, answer.headers["Allow"], answer.json["error"]) == (405, "POST", "method_not_allowed")
    answer = host.request("POST", "/nothing", b"{}")
    assert (answer.status, answer.json["error"]) == (404, "not_found")
    assert host.request("GET", "/healthz").status == 200
    assert host.request("GET", "/readyz").status == 200
    assert host.request("POST", "/healthz", b"").status == 405


def test_duplicates_are_told_by_key_and_body(host):
    first = host.deliver("issue", GOOD, key="k1")
    again = host.deliver("issue", GOOD, key="k1")
    assert first.json["status"] == "accepted"
    assert (again.status, again.json) == (200, {"status": "duplicate", "id": first.json["id"]})
    other = json.dumps(envelope(issue=issue(title="another")), separators=(",", ":")).encode()
    assert host.deliver("issue", other, key="k1").json["status"] == "accepted", "another body"
    assert host.deliver("issue", GOOD, key="k2").json["status"] == "accepted", "another key"
    assert host.deliver("issue", GOOD).json["status"] == "accepted", "no key"


def test_duplicates_are_known_after_a_restart(tmp_path):
    with Host(tmp_path) as host:
        first = host.deliver("issue", GOOD, key="k1").json["id"]
    with host.start():
        assert host.deliver("issue", GOOD, key="k1").json == {"status": "duplicate", "id": first}


def test_dedupe_by_signature_and_not_at_all(tmp_path):
    with Host(tmp_path, "--dedupe", "signature") as host:
        first = host.deliver("issue", GOOD).json
        assert host.deliver("issue", GOOD).json == {"status": "duplicate", "id": first["id"]}
    with Host(tmp_path, "--dedupe", "off") as host:
        assert host.deliver("issue", GOOD, key="a").json["status"] == "accepted"
        assert host.deliver("issue", GOOD, key="a").json["status"] == "accepted"


def test_secrets_rotate(tmp_path):
    with Host(tmp_path, secret="newest,older") as host:
        assert host.deliver("issue", GOOD, secret="newest").status == 200
        assert host.deliver("issue", GOOD, secret="older").status == 200
        assert host.deliver("issue", GOOD, secret="newest,older").status == 401


def test_old_deliveries_are_refused_when_asked(tmp_path):
    with Host(tmp_path, "--max-age", "10m") as host:
        assert host.deliver("issue", GOOD).status == 200
        assert host.deliver("issue", GOOD, Sentry_Hook_Timestamp=None).status == 200, "nothing to go by"
        for old in (str(int(time.time()) - 3600), "2020-01-01T00:00:00Z"):
            answer = host.deliver("issue", GOOD, Sentry_Hook_Timestamp=old)
            assert (answer.status, answer.json["error"]) == (422, "schema_violation"), answer
            assert "--max-age" in answer.json["message"]
            assert host.log(msg="delivery quarantined", delivery=answer.json["id"]), "kept, not lost"


@pytest.mark.parametrize("head, status", [
    ("GET /healthz HTTP/1.1\r\n", 400),
    ("POST /webhook HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n", 400),
    ("POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 2\r\n", 400),
    ("POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n", 400),
    ("POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length : 2\r\n", 400),
    ("POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n", 413),
    ("BREW /webhook HTTP/1.1\r\nHost: x\r\n", 405),
    ("GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + "y" * 70000 + "\r\n", 431),
])
def test_what_is_refused_before_it_is_read_is_told_in_json(host, head, status):
    with socket.create_connection(("127.0.0.1", host.port), timeout=30) as s:
        s.sendall((head + "\r\n").encode())
        text = b"".join(iter(lambda: s.recv(65536), b""))
    top, body = text.split(b"\r\n\r\n", 1)
    assert top.startswith(b"HTTP/1.1 %d " % status), top
    assert set(json.loads(body)) == {"error", "message"}


def test_a_document_of_ones_own(tmp_path):
    (tmp_path / "mine.yml").write_text("""
asyncapi: 2.6.0
info: {title: mine, version: "1"}
channels:
  deploy:
    subscribe:
      message:
        headers: {type: object, properties: {sentry-hook-resource: {type: string, enum: [deploy]}}}
        payload:
          type: object
          required: [action, data]
          properties:
            action: {type: string, enum: [finished]}
            data: {type: object, required: [version], properties: {version: {type: string}}}
""")
    host = Host(tmp_path, "--schema", str(tmp_path / "mine.yml"), wait=False)
    host.write("a.lua", 'function on_deploy(event) log.info("deployed", { version = event.data.version }) end')
    with host.start():
        assert host.deliver("deploy", {"action": "finished", "data": {"version": "1.2"}}).status == 200
        assert host.log(msg="deployed")["version"] == "1.2"
        answer = host.deliver("deploy", {"action": "finished", "data": {}})
        assert (answer.status, answer.json["pointer"]) == (422, "/data/version")


def test_it_refuses_to_start_without_a_secret_and_says_what_to_set(tmp_path):
    host = Host(tmp_path, secret=None, wait=False)
    host.start(wait=False)
    assert host.process.wait(30) == 2
    host._reader.join(30)
    text = host.tail()
    assert "SENTRY_CLIENT_SECRET" in text and "--dev" in text
    host.process.stderr.close()
    host.process = None


def test_a_second_host_is_refused(tmp_path):
    with Host(tmp_path) as host:
        second = Host(tmp_path, wait=False)
        second.start(wait=False)
        assert second.process.wait(30) == 3
        second.process.stderr.close()
        second.process = None
        assert host.deliver("issue", GOOD).status == 200
