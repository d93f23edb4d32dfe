"""What moonpost sim sends: deliveries by Sentry's policy, and requests to UI components."""

import hashlib
import hmac
import json
import re
import socket
import threading
import time
import urllib.parse

import pytest

from host import SECRET, Host, eventually
from peer import Peer
from sim import CLIENT_SECRET, Sim

HEX32 = re.compile("[0-9a-f]{32}")


def mac(body, secret=CLIENT_SECRET):
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def test_an_emitted_event_is_sentrys_request():
    with Sim() as sim, Peer() as peer:
        made = sim.control("install", org="acme", url=peer.url + "/webhook?k=v")
        installed = eventually(lambda: peer.requests, "installation.created")[0]
        sent = sim.control("emit", event="issue.created", set={"data.issue.level": "fatal", "data.issue.title": "J\u00f6rg"})
        assert (sent["outcome"], sent["status"]) == ("delivered", 200)
        request = peer.requests[1]
        assert (request.method, request.path) == ("POST", "/webhook?k=v")
        headers = dict(request.headers)
        assert headers["Content-Type"] == "application/json"
        assert headers["Sentry-Hook-Resource"] == "issue"
        assert headers["Sentry-Hook-Signature"] == mac(request.body)
        assert abs(int(headers["Sentry-Hook-Timestamp"]) - time.time()) < 60
        assert HEX32.fullmatch(headers["Request-ID"]) and HEX32.fullmatch(headers["Idempotency-Key"])
        assert headers["User-Agent"].startswith("sentry/") and headers["User-Agent"].endswith(" (https://sentry.io)")
        body = request.json
        assert list(body) == ["action", "installation", "data", "actor"]
        assert body["action"] == "created" and body["installation"] == {"uuid": made["installation"]}
        assert (body["data"]["issue"]["level"], body["data"]["issue"]["title"]) == ("fatal", "J\u00f6rg")
        # And the one before.
        assert installed.headers["Sentry-Hook-Resource"] == "installation"
        data = installed.json["data"]["installation"]
        assert list(data) == ["app", "organization", "uuid", "status", "code"]
        assert (data["uuid"], data["code"], data["status"]) == (made["installation"], made["code"], "pending")
        assert data["organization"]["slug"] == "acme"
        assert installed.json["actor"]["type"] == "user"


def test_deleting_is_told():
    with Sim() as sim, Peer() as peer:
        made = sim.control("install", url=peer.url)
        token = sim.exchange(made).json["token"]
        assert sim.api("DELETE", f"/sentry-app-installations/{made['installation']}/", token=token).status == 204
        told = eventually(lambda: peer.requests[1:], "installation.deleted")[0]
        assert told.json["action"] == "deleted" and "code" not in told.json["data"]["installation"]


@pytest.mark.parametrize("status", [200, 204, 302, 399])
def test_below_400_is_delivered(status):
    with Sim() as sim, Peer(lambda r: (status, "", {"Location": "/elsewhere"})) as peer:
        assert sim.control("emit", event="issue.created", url=peer.url, published=True)["outcome"] == "delivered"
        assert len(peer.requests) == 1   # No redirect is followed.


def deliveries(sim):
    return sim.calls(direction="out")


@pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 503, 504])
def test_what_never_comes_again(status):
    with Sim(scale=100000) as sim, Peer(lambda r: (status, {})) as peer:
        sent = sim.control("emit", event="issue.created", url=peer.url, published=True)
        assert (sent["outcome"], sent["status"]) == ("failed", status)


@pytest.mark.parametrize("status", [500, 502])
def test_what_comes_again_for_published_integrations(status):
    with Sim(scale=100000) as sim, Peer(lambda r: (status, {})) as peer:
        sent = sim.control("emit", event="issue.created", url=peer.url)
        assert (sent["outcome"], sent["status"]) == ("failed", status)
        sent = sim.control("emit", event="issue.created", url=peer.url, published=True)
        assert (sent["outcome"], sent["status"]) == ("retrying", status)
        eventually(lambda: len(deliveries(sim)) == 5, "three more attempts")
        first, *tries = peer.requests
        assert len(tries) == 4
        # The same body and key, but an id of their own; the timestamp may be the same second.
        assert len({r.body for r in tries}) == 1
        assert len({r.headers["Idempotency-Key"] for r in tries}) == 1
        assert len({r.headers["Request-ID"] for r in tries}) == 4
        assert first.headers["Idempotency-Key"] != tries[0].headers["Idempotency-Key"]
        assert [d["outcome"] for d in deliveries(sim)[1:]] == ["retrying", "retrying", "retrying", "failed"]
        assert [d["attempt"] for d in deliveries(sim)[1:]] == [1, 2, 3, 4]


def test_it_gets_well_between_two_attempts():
    answers = iter([500, 500, 200])
    with Sim(scale=100000) as sim, Peer(lambda r: (next(answers), {})) as peer:
        sim.control("emit", event="issue.created", url=peer.url, published=True)
        eventually(lambda: [d["outcome"] for d in deliveries(sim)] == ["retrying", "retrying", "delivered"], "it is delivered")
        assert len(peer.requests) == 3


def test_retries_are_five_minutes_apart_in_its_own_time():
    with Sim(scale=600) as sim, Peer(lambda r: (500, {})) as peer:   # 500 ms
        sim.control("emit", event="issue.created", url=peer.url, published=True)
        eventually(lambda: len(deliveries(sim)) == 4, "four attempts")
        at = [float(d["at"][17:23]) for d in deliveries(sim)]
        assert all((b - a) % 60 >= 0.45 for a, b in zip(at, at[1:]))


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Sim(scale=100000) as sim:
        url = f"http://127.0.0.1:{port}/webhook"
        sent = sim.control("emit", event="issue.created", url=url)
        assert (sent["outcome"], sent["status"]) == ("failed", 0) and "127.0.0.1" in sent["error"]
        assert sim.control("emit", event="issue.created", url=url, published=True)["outcome"] == "retrying"


class Slow:
    """A server that answers every request byte by byte."""

    def __init__(self, pieces, pause):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=600)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/"
        self.pieces, self.pause = pieces, pause
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection):
        try:
            connection.recv(65536)
            for piece in self.pieces:
                time.sleep(self.pause)
                connection.sendall(piece)
            connection.recv(1)   # Until the other side goes.
        except OSError:
            pass
        connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


def test_a_second_without_an_answer_is_a_timeout():
    with Sim(scale=100000) as sim, Slow([], 0) as slow:
        begin = time.monotonic()
        sent = sim.control("emit", event="issue.created", url=slow.url, published=True)
        assert (sent["outcome"], sent["status"]) == ("retrying", 0)
        assert time.monotonic() - begin >= 0.95


def test_a_piece_within_every_second_is_no_timeout_before_five():
    header = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"
    with Sim(scale=100000) as sim:
        with Slow([header, b"\r\n", b"a", b"bc"], 0.5) as slow:
            assert sim.control("emit", event="issue.created", url=slow.url, published=True)["outcome"] == "delivered"
        endless = [header] + [b"X-A: b\r\n"] * 100
        with Slow(endless, 0.5) as slow:
            begin = time.monotonic()
            sent = sim.control("emit", event="issue.created", url=slow.url, published=True)
            # A hard timeout is not repeated.
            assert (sent["outcome"], sent["status"]) == ("failed", 0)
            assert time.monotonic() - begin >= 4.95


# ---- UI components -------------------------------------------------------

def test_an_alert_action_is_saved():
    with Sim() as sim, Peer(lambda r: (200, {"message": "Saved"})) as peer:
        made = sim.control("install", url=peer.url + "/webhook?secret=x")
        eventually(lambda: peer.requests, "installation.created")
        shown = sim.control("ui", component="alert-rule-action", settings={"title": "T", "userId": 1})
        assert (shown["status"], shown["ok"], shown["message"]) == (200, True, "moonpost sim: Saved")
        request = peer.requests[-1]
        assert (request.method, request.path) == ("POST", "/ui/alert-rule-action?secret=x")
        assert request.json == {"fields": [{"name": "title", "value": "T"}, {"name": "userId", "value": 1}],
                                "installationId": made["installation"]}
        assert request.headers["Sentry-App-Signature"] == mac(request.body)
        assert HEX32.fullmatch(request.headers["Request-ID"])
        assert not [name for name in request.headers if name.startswith("Sentry-Hook-")]


@pytest.mark.parametrize("status,body,ok,message", [
    (200, "", True, "moonpost sim: Success!"),
    (400, {"message": "Choose a service"}, False, "moonpost sim: Choose a service"),
    (500, "oops", False, "moonpost sim: Something went wrong!"),
])
def test_what_a_person_is_shown(status, body, ok, message):
    with Sim() as sim, Peer(lambda r: (status, body)) as peer:
        sim.control("install")
        shown = sim.control("ui", component="alert-rule-action", url=peer.url)
        assert (shown["status"], shown["ok"], shown["message"]) == (status, ok, message)


def test_nobody_answers_a_component():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Sim() as sim:
        sim.control("install")
        shown = sim.control("ui", component="alert-rule-action", url=f"http://127.0.0.1:{port}")
        assert (shown["status"], shown["ok"]) == (502, False) and shown["error"]


def test_an_issue_is_linked():
    good = {"webUrl": "https://tickets.example/7", "project": "OPS", "identifier": "7"}
    with Sim() as sim, Peer(lambda r: (200, good)) as peer:
        made = sim.control("install", org="acme")
        shown = sim.control("ui", component="issue-link/create", url=peer.url + "/i/two/webhook?q=1",
                            settings={"title": "T", "itemId": None}, issue=77, project="web")
        assert (shown["ok"], shown["message"]) == (True, "OPS#7")
        request = peer.requests[-1]
        assert request.path == "/i/two/ui/issue-link/create"
        assert request.json == {
            "fields": {"title": "T", "itemId": None}, "issueId": 77, "installationId": made["installation"],
            "webUrl": f"{sim.url}/organizations/acme/issues/77/", "project": {"slug": "web", "id": 4507318820044800},
            "actor": {"type": "user", "id": 1, "name": "Ada"}}
        peer.answer = lambda r: (200, {**good, "identifier": 7})
        shown = sim.control("ui", component="issue-link/link", url=peer.url)
        assert (shown["ok"], shown["message"]) == (False, "Invalid response format")


def test_options_are_asked_for():
    rows = [{"label": "An Issue", "value": "123", "default": True}, {"label": "Another Issue", "value": "456"}]
    with Sim() as sim, Peer(lambda r: (200, rows)) as peer:
        made = sim.control("install")
        shown = sim.control("ui", component="options/service", url=peer.url, query="on call", project="web", settings={"team": "a b"})
        assert shown["ok"] and shown["body"] == rows
        request = peer.requests[-1]
        assert request.method == "GET" and request.body == b""
        path, _, query = request.path.partition("?")
        assert path == "/ui/options/service"
        assert query == (f"installationId={made['installation']}&projectSlug=web&query=on+call&dependentData=%7B%22team%22%3A%22a+b%22%7D")
        assert urllib.parse.parse_qs(query)["dependentData"] == ['{"team":"a b"}']
        assert request.headers["Sentry-App-Signature"] == mac(b"")
        assert request.headers["Content-Type"] == "application/json"
        for wrong in ({"a": 1}, [{"label": "x"}], ["x"]):
            peer.answer = lambda r: (200, wrong)
            assert sim.control("ui", component="options/service", url=peer.url)["message"] == "Invalid response format"


def test_a_frame_is_linked():
    with Sim() as sim, Peer(lambda r: (302, "", {"Location": "https://src.example/"})) as peer:
        made = sim.control("install")
        shown = sim.control("ui", component="stacktrace-link", url=peer.url, filename="a/b.py", line=12)
        assert (shown["status"], shown["ok"]) == (302, True)
        request = peer.requests[-1]
        path, _, query = request.path.partition("?")
        assert path == "/ui/stacktrace-link"
        assert urllib.parse.parse_qsl(query) == [("installationId", made["installation"]), ("projectSlug", "example-project"),
                                                 ("filename", "a/b.py"), ("lineNo", "12")]
        assert "Sentry-App-Signature" not in request.headers


# ---- with a host ---------------------------------------------------------

def test_a_host_takes_it_all(tmp_path):
    with Sim(secret=SECRET) as sim, Host(tmp_path, "--auto-install", "off", env={"SENTRY_URL": sim.url, "SENTRY_CLIENT_ID": sim.client_id}) as host:
        host.write("all.lua", """
            function on_event(event) log.info("got", { what = event.resource .. "." .. event.action }) end
            alert_action { title = "Page", fields = { { name = "service", label = "Service", type = "text", required = true } },
              validate = function(s) if s.service == "none" then return nil, "Choose another" end return true end,
              fire = function() end }
        """)
        host.log(msg="script loaded", script="all")
        url = f"http://127.0.0.1:{host.port}/webhook"
        made = sim.control("install", url=url)
        host.log(msg="got", what="installation.created")
        for event in ("issue.created", "error.created", "comment.created", "metric_alert.critical", "event_alert.triggered"):
            assert sim.control("emit", event=event)["status"] == 200, event
            host.log(msg="got", what=event)
        assert sim.control("ui", component="alert-rule-action", settings={"service": "api"})["ok"]
        shown = sim.control("ui", component="alert-rule-action", settings={"service": "none"})
        assert (shown["status"], shown["message"]) == (400, "moonpost sim: Choose another")
        assert made["installation"] in json.dumps(sim.calls(direction="out"))
