#!/usr/bin/env python3
"""make soak: 500 deliveries a second for a script that works, beside three that do not.

usage: tests/soak/soak.py [--seconds 60] [--rate 500] [--keep]

Every delivery goes to four scripts: one that works, one that always fails, one that sleeps 20 s and one that
loops for ever.  Deliveries are sent when they are due, not when the last was answered, so waiting counts.  What
became of them is read from the store in the end.  Fails when answering took 50 ms or more (p99), when the healthy
script was 1 s or more behind (p99, from when the looping one is in the slow lane), or when anything was lost.
"""

import argparse
import collections
import datetime
import hashlib
import hmac
import json
import os
import selectors
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SECRET = "soak-secret"

ACCEPT_P99_MS = 50
LAG_P99_MS = 1000

SCRIPTS = {
    "healthy": "function on_issue(event) return event.data.issue.title end",
    "fails": "function on_issue() error('always') end",
    "sleeps": "function on_issue() sleep(20) end",
    "loops": "function on_issue() while true do end end",
}

# How long what is left of the healthy script may take after the last delivery.
PATIENCE_S = 60

STATES = ["pending", "running", "retrying", "done", "dropped", "dead", "invalid", "unhandled", "pending"]


class Failed(Exception):
    pass


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p / 100))] if values else 0


def eventually(check, patience, what):
    end = time.monotonic() + patience
    while not check():
        if time.monotonic() > end:
            raise Failed(f"did not happen in {patience} s: {what}")
        time.sleep(0.05)


# ---- the host ---------------------------------------------------------------


class Host:
    def __init__(self, folder, program):
        self.data = os.path.join(folder, "data")
        scripts = os.path.join(folder, "scripts")
        os.makedirs(scripts)
        for name, source in SCRIPTS.items():
            with open(os.path.join(scripts, name + ".lua"), "w") as f:
                f.write(source)
        self.log_path = os.path.join(folder, "log")
        env = {k: v for k, v in os.environ.items() if not k.startswith(("MOONPOST_", "SENTRY_"))}
        env["SENTRY_CLIENT_SECRET"] = SECRET
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [program, "serve", "--listen", "127.0.0.1:0", "--console", "127.0.0.1:0", "--scripts", scripts,
                 "--data", self.data, "--log", "json", "--drain-timeout", "1s"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, env=env)

    def lines(self, msg, **fields):
        """The log lines so far with this message."""
        found = []
        with open(self.log_path, "rb") as f:
            for raw in f:
                if f'"msg":"{msg}"'.encode() not in raw:
                    continue
                line = json.loads(raw)
                if all(line.get(k) == v for k, v in fields.items()):
                    found.append(line)
        return found

    def port(self):
        eventually(lambda: self.lines("listening") or self.process.poll() is not None, 30, "it listens")
        if self.process.poll() is not None:
            raise Failed("it did not start: " + self.tail())
        return int(self.lines("listening")[0]["url"].rsplit(":", 1)[1])

    def tail(self):
        with open(self.log_path, errors="replace") as f:
            return "".join(f.readlines()[-20:])

    def stop(self, sig=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failed("it did not stop: " + self.tail()) from None


# ---- the sender ---------------------------------------------------------------


def make_request(n):
    body = json.dumps({
        "action": "created", "installation": {"uuid": "a8e5d37a-696c-4c54-adb5-b3f28d64c7de"},
        "actor": {"type": "application", "id": "sentry", "name": "Sentry"},
        "data": {"issue": {
            "id": str(1000000 + n % 5000), "shortId": f"PY-{n}", "title": f"TypeError: {n} is not a function",
            "culprit": "src/app.js in render", "level": "error", "status": "unresolved", "count": "1", "userCount": 1,
            "firstSeen": "2026-01-01T00:00:00.000Z", "lastSeen": "2026-01-01T00:00:00.000Z",
            "project": {"id": "1", "name": "py", "slug": "py", "platform": "python"},
            "metadata": {"type": "TypeError", "value": "x" * 800, "filename": "src/app.js", "function": "render"},
        }}}, separators=(",", ":")).encode()
    mac = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return (f"POST /webhook HTTP/1.1\r\nHost: soak\r\nContent-Type: application/json\r\nRequest-ID: {n:032x}\r\n"
            f"Idempotency-Key: soak-{n}\r\nSentry-Hook-Resource: issue\r\nSentry-Hook-Signature: {mac}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


class Sender:
    """Sends at a steady rate over kept connections; opens another when all are waiting for an answer."""

    def __init__(self, port):
        self.port = port
        self.selector = selectors.DefaultSelector()
        self.idle = collections.deque()
        self.accepted = []
        self.latencies_ms = []
        self.refused = collections.Counter()
        self.waiting = 0

    def connect(self):
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.selector.register(sock, selectors.EVENT_READ)
        return sock

    def send(self, request, due):
        sock = self.idle.popleft() if self.idle else self.connect()
        self.selector.modify(sock, selectors.EVENT_READ, due)
        sock.sendall(request)
        self.waiting += 1

    def read(self, sock, due):
        answer = sock.recv(65536)
        self.waiting -= 1
        if not answer:
            self.refused["connection closed"] += 1
            self.selector.unregister(sock)
            sock.close()
            return
        self.latencies_ms.append((time.monotonic() - due) * 1000)
        head, _, body = answer.partition(b"\r\n\r\n")
        status = int(head[9:12])
        if status == 200:
            self.accepted.append(int(json.loads(body)["id"]))
        else:
            self.refused[status] += 1
        self.idle.append(sock)

    def run(self, requests, rate):
        begin = time.monotonic()
        sent = 0
        while sent < len(requests) or self.waiting > 0:
            now = time.monotonic()
            while sent < len(requests) and begin + sent / rate <= now:
                self.send(requests[sent], begin + sent / rate)
                sent += 1
            wait = begin + sent / rate - time.monotonic() if sent < len(requests) else 1
            for key, _ in self.selector.select(max(0, wait)):
                self.read(key.fileobj, key.data)
            if now > begin + len(requests) / rate + PATIENCE_S:
                raise Failed(f"{self.waiting} deliveries were not answered")


# ---- what became of them --------------------------------------------------------


def unix_ms(line):

    return datetime.datetime.fromisoformat(line["time"].replace("Z", "+00:00")).timestamp() * 1000


def look(data, accepted, slow_from_ms):
    """What the store says, and what is wrong with it."""
    db = sqlite3.connect(f"file:{data}/moonpost.db?mode=ro", uri=True)
    scripts = dict(db.execute("SELECT id, name FROM script"))
    deliveries = dict(db.execute("SELECT id, received FROM delivery"))
    jobs = {name: {} for name in SCRIPTS}
    for job, script, state in db.execute("SELECT id, script, state FROM job"):
        jobs[scripts[script]][job >> 10] = (job, state)
    lags, done = [], collections.Counter()
    for job, started, duration, outcome in db.execute("SELECT job, started, duration_ms, outcome FROM run"):
        if jobs["healthy"].get(job >> 10, (0, 0))[0] != job or outcome != "done":
            continue
        done[job >> 10] += 1
        if deliveries[job >> 10] >= slow_from_ms:
            lags.append(started + duration - deliveries[job >> 10])
    db.close()

    wrong = collections.Counter()
    for i in accepted:
        wrong["deliveries that are not in the store"] += i not in deliveries
        for name in SCRIPTS:
            wrong["jobs that are not in the store"] += i not in jobs[name]
        wrong["healthy jobs not done"] += done[i] == 0
        wrong["healthy jobs done twice"] += done[i] > 1
    wrong["ids given twice"] = len(accepted) - len(set(accepted))
    states = {name: dict(collections.Counter(STATES[state] for _, state in of.values())) for name, of in jobs.items()}
    return lags, states, {what: n for what, n in wrong.items() if n}


def run(folder, seconds, rate, program):
    """Do it; returns what there is to say."""
    requests = [make_request(n) for n in range(int(seconds * rate))]
    host = Host(folder, program)
    try:
        sender = Sender(host.port())
        sender.run(requests, rate)

        def caught_up():
            return len(host.lines("job done", script="healthy")) >= len(sender.accepted)

        eventually(caught_up, PATIENCE_S, "the healthy script has done all\n" + host.tail())
        slow = host.lines("script moves to the slow lane", script="loops")
        status = host.stop()
    finally:
        host.stop(signal.SIGKILL)
    slow_ms = unix_ms(slow[0]) if slow else float("inf")
    lags, states, wrong = look(host.data, sender.accepted, slow_ms)
    if status != 0:
        wrong["exit status"] = status
    if not slow:
        wrong["the looping script is not in the slow lane"] = 1
    if sender.refused:
        wrong["not answered 200"] = dict(sender.refused)
    return {
        "sent": len(requests), "accepted": len(sender.accepted),
        "accept_p50_ms": round(percentile(sender.latencies_ms, 50), 2),
        "accept_p99_ms": round(percentile(sender.latencies_ms, 99), 2),
        "accept_max_ms": round(percentile(sender.latencies_ms, 100), 2),
        "lag_p50_ms": percentile(lags, 50), "lag_p99_ms": percentile(lags, 99), "lag_max_ms": percentile(lags, 100),
        "lags": len(lags), "jobs": states, "wrong": wrong,
    }


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--seconds", type=float, default=float(os.environ.get("SECONDS") or 60))
    p.add_argument("--rate", type=float, default=500)
    p.add_argument("--keep", action="store_true", help="leave the folder with store and log")
    options = p.parse_args()
    program = os.path.join(ROOT, os.environ.get("BUILD") or "build", "moonpost")
    folder = tempfile.mkdtemp(prefix="moonpost-soak-")
    try:
        r = run(folder, options.seconds, options.rate, program)
    except Failed as e:
        print(f"soak: {e}")
        return 1
    finally:
        if options.keep:
            print(folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{r['accepted']} of {r['sent']} deliveries accepted, {options.rate:g} a second for {options.seconds:g} s")
    print(f"accept      p50 {r['accept_p50_ms']} ms, p99 {r['accept_p99_ms']} ms, most {r['accept_max_ms']} ms")
    print(f"healthy lag p50 {r['lag_p50_ms']} ms, p99 {r['lag_p99_ms']} ms, most {r['lag_max_ms']} ms"
          f" ({r['lags']} since the looping script is in the slow lane)")
    for name, states in r["jobs"].items():
        print(f"{name:8} " + ", ".join(f"{n} {state}" for state, n in sorted(states.items())))
    bad = [f"{what}: {n}" for what, n in r["wrong"].items()]
    if r["accept_p99_ms"] >= ACCEPT_P99_MS:
        bad.append(f"accept p99 is not under {ACCEPT_P99_MS} ms")
    if r["lag_p99_ms"] >= LAG_P99_MS:
        bad.append(f"healthy lag p99 is not under {LAG_P99_MS} ms")
    print("\n".join(bad) if bad else "nothing lost")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
