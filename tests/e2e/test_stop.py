"""SIGTERM and SIGHUP while there is something to do: nothing that got a 200 is lost."""

import json
import os
import signal
import socket
import threading
import time

import pytest

from host import SECRET, Host, eventually, sign
from test_handlers import envelope, issue

HANDLER = """
function on_issue(event)
  local i = event.data.issue
  log.info("begin", { n = i.id, attempt = event.attempt })
  sleep(tonumber(i.title))
  log.info("end", { n = i.id })
end
"""


def send(host, n, seconds):
    answer = host.deliver("issue", envelope(issue=issue(id=str(n), title=str(seconds))))
    assert answer.status == 200, answer
    return answer.json["id"]


def serve(tmp_path, *options):
    host = Host(tmp_path, *options, wait=False)
    host.write("a.lua", HANDLER)
    return host.start()


def test_what_ends_in_time_is_done_and_the_rest_runs_after_the_restart(tmp_path):
    host = serve(tmp_path, "--drain-timeout", "3s", "--concurrency", "10")
    short = [send(host, n, 0.5) for n in range(5)]
    long = [send(host, n, 25) for n in range(5, 10)]
    waiting = [send(host, n, 0) for n in range(10, 15)]
    host.log(count=10, msg="begin")
    assert host.stop() == 0, host.tail()
    assert sorted(line["n"] for line in host.logged(msg="end")) == ["0", "1", "2", "3", "4"], host.tail()
    assert host.logged(msg="stopped")

    # The long ones do not sleep this time.
    host.write("a.lua", HANDLER.replace("sleep", "tostring"))
    with host.start():
        for i in long + waiting:
            host.log(msg="job done", delivery=i)
        begun = host.logged(msg="begin")
        assert sorted(int(line["n"]) for line in begun) == list(range(5, 15)), "each once, and none of the short"
        assert {line["attempt"] for line in begun} == {1}, "put back uncharged"
        # The log is a little ahead of the store.
        eventually(lambda: {d["id"]: d["state"] for d in host.api("deliveries")["deliveries"]} ==
                   {i: "done" for i in short + long + waiting}, "all are done")


def workers_of(pid):
    """The processes that it has started."""
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(p) for p in f.read().split()]


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_service_manager_may_signal_every_process(tmp_path, sig):
    host = serve(tmp_path)
    i = send(host, 1, 1)
    host.log(msg="begin")
    for pid in workers_of(host.process.pid):
        os.kill(pid, sig)
        os.kill(pid, signal.SIGHUP)
    assert host.stop(sig) == 0, host.tail()
    assert host.logged(msg="job done", delivery=i)
    assert not host.logged(msg="worker gone")


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_does_not_wait(tmp_path, first):
    host = serve(tmp_path, "--drain-timeout", "1h")
    i = send(host, 1, 25)
    host.log(msg="begin")
    host.process.send_signal(first)
    host.log(msg="stopping")
    assert host.stop(patience=20) == 0, host.tail()
    assert host.logged(msg="stopping at once")
    host.write("a.lua", HANDLER.replace("sleep", "tostring"))
    with host.start():
        host.log(msg="job done", delivery=i)


class Slow:
    """A delivery that is sent in two parts."""

    def __init__(self, host, body):
        self.body = json.dumps(body).encode()
        self.sock = socket.create_connection(("127.0.0.1", host.port), timeout=20)
        self.sock.sendall((f"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                           f"Sentry-Hook-Resource: issue\r\nSentry-Hook-Signature: {sign(self.body, SECRET)}\r\n"
                           f"Content-Length: {len(self.body)}\r\n\r\n").encode() + self.body[:10])

    def finish(self):
        self.sock.sendall(self.body[10:])
        answer = b""
        while chunk := self.sock.recv(65536):
            answer += chunk
            head, _, rest = answer.partition(b"\r\n\r\n")
            if b"\r\n\r\n" in answer and rest.endswith(b"}"):
                break
        self.sock.close()
        return answer


def test_a_delivery_on_its_way_is_answered_and_kept(tmp_path):
    host = serve(tmp_path)
    slow = Slow(host, envelope(issue=issue(id="7", title="0")))
    # Its connection is known to be open when another on the same thread was answered.
    assert host.request("GET", "/healthz").status == 200
    host.process.send_signal(signal.SIGTERM)
    host.log(msg="stopping")
    answer = slow.finish()
    assert answer.startswith(b"HTTP/1.1 200"), answer
    i = json.loads(answer.partition(b"\r\n\r\n")[2])["id"]
    assert host.stop() == 0, host.tail()
    with host.start():
        assert host.api(f"deliveries/{i}")["state"] in ("pending", "running", "done")
        eventually(lambda: host.api(f"deliveries/{i}")["state"] == "done", "it runs")


def test_one_that_never_ends_does_not_hold_the_stop_for_long(tmp_path):
    host = serve(tmp_path)
    slow = Slow(host, envelope(issue=issue(id="7", title="0")))
    assert host.request("GET", "/healthz").status == 200
    host.process.send_signal(signal.SIGTERM)
    host.log(msg="stopping")
    # A second one is not held by it at all.
    begun = time.monotonic()
    assert host.stop() == 0, host.tail()
    assert time.monotonic() - begun < 4
    slow.sock.close()


def test_stopping_under_load_loses_nothing(tmp_path):
    host = serve(tmp_path, "--drain-timeout", "300ms", "--concurrency", "4")
    accepted, lock, over = set(), threading.Lock(), threading.Event()

    def sender(k):
        n = k * 100000
        while not over.is_set():
            n += 1
            try:
                answer = host.deliver("issue", envelope(issue=issue(id=str(n), title="0.02")))
            except OSError:
                return
            if answer.status == 200:
                with lock:
                    accepted.add(answer.json["id"])

    done = set()
    for _ in range(3):
        threads = [threading.Thread(target=sender, args=(k,)) for k in range(4)]
        for t in threads:
            t.start()
        want = len(accepted) + 150
        eventually(lambda: len(accepted) >= want, "deliveries")
        assert host.stop() == 0, host.tail()
        over.set()
        for t in threads:
            t.join()
        over.clear()
        done |= {line["delivery"] for line in host.logged(msg="job done")}
        host.start()
    with host:
        eventually(lambda: accepted <= done | {line["delivery"] for line in host.logged(msg="job done")}, "all run")


# ---- SIGHUP ---------------------------------------------------------------------

BAD = envelope(issue=issue(level="loud", title="0"))


def reload(host, source):
    before = len(host.logged(msg="reloading"))
    with open(host.folder + "/moonpost.lua", "w") as f:
        f.write(source)
    host.process.send_signal(signal.SIGHUP)
    host.log(count=before + 1, msg="reloading")


def test_sighup_takes_what_can_change(tmp_path):
    host = Host(tmp_path, wait=False)
    host.write("a.lua", HANDLER)
    with host.start():
        assert host.deliver("issue", BAD).status == 422
        good = envelope(issue=issue(title="0"))
        assert host.deliver("issue", good).json["status"] == "accepted"
        assert host.deliver("issue", good).json["status"] == "accepted"
        assert host.deliver("nobodys", good).json["status"] == "accepted"
        assert host.deliver("issue", good, Sentry_Hook_Timestamp="1600000000").status == 200

        reload(host, 'return { validation = "warn", dedupe = "signature", keep_unhandled = false, max_age = "1m" }')
        eventually(lambda: host.deliver("nobodys", good).json["status"] == "ignored", "keep_unhandled")
        assert host.deliver("issue", BAD).status == 200
        assert host.deliver("issue", good).json["status"] == "accepted"
        assert host.deliver("issue", good).json["status"] == "duplicate"
        other = envelope(issue=issue(title="0", id="2"))
        assert host.deliver("issue", other, Sentry_Hook_Timestamp="1600000000").status == 422
        for option in ("validation", "dedupe", "keep-unhandled", "max-age"):
            host.log(msg="option changed", option=option)

        reload(host, 'return { validation = "off" }')
        eventually(lambda: host.deliver("nobodys", good).json["status"] != "ignored", "keep_unhandled again")
        assert host.deliver("issue", envelope(issue=issue(level="louder", title="0"))).status == 200
        assert host.deliver("issue", good).json["status"] == "accepted"


def test_sighup_looks_at_the_scripts(tmp_path):
    host = Host(tmp_path, wait=False)
    host.write("a.lua", HANDLER)
    with host.start():
        host.write("b.lua", HANDLER.replace("begin", "begin b"))
        host.process.send_signal(signal.SIGHUP)
        host.log(msg="reloading")
        send(host, 1, 0)
        eventually(lambda: send(host, 2, 0) and host.logged(msg="begin b"), "the new script")
