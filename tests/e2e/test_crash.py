"""The host is killed again and again while deliveries come in: what got a 200 is
stored, once, and its handler runs.

MOONPOST_CRASH_ROUNDS (default 50) and MOONPOST_CRASH_SEED are yours to set.
"""

import collections
import http.client
import json
import os
import random
import sqlite3
import threading
import time

from host import Host, eventually, sign

ROUNDS = int(os.environ.get("MOONPOST_CRASH_ROUNDS") or 50)
SEED = int(os.environ.get("MOONPOST_CRASH_SEED") or 20260)
CLIENTS = 4
JOB_BITS = 10
DONE = 3

SCRIPT = """
function on_event(event)
  if event.data.slow then sleep(0.05) end
  log.info("ran", { key = event.data.key })
end
"""


class Client(threading.Thread):
    """Sends one delivery after the other.  One whose answer was lost is sent
    again, with the same key, until there is one."""

    def __init__(self, number, where, stop):
        super().__init__(daemon=True)
        self.number = number
        self.where = where
        self.stop = stop
        self.rng = random.Random(SEED * 1000 + number)
        self.got = {}  # Key -> id, of what got a 200.
        self.lost = 0
        self.repeated = 0
        self.refused = 0
        self.wrong = []

    def body(self, key):
        filler = "x" * self.rng.choice((0, 10, 2000, 30000))
        return json.dumps({"action": "made", "installation": {"uuid": "24b397fc-a86e-43ef-9297-949e21b82480"},
                           "actor": {"type": "user", "id": 1, "name": "Ada"},
                           "data": {"key": key, "slow": self.rng.random() < 0.1, "filler": filler}}).encode()

    def post(self, conn, key, body):
        conn.request("POST", "/webhook", body, {
            "Content-Type": "application/json", "Sentry-Hook-Resource": "something_new",
            "Sentry-Hook-Signature": sign(body), "Request-ID": key, "Idempotency-Key": key})
        answer = conn.getresponse()
        return answer.status, json.loads(answer.read())

    def run(self):
        n = 0
        conn = None
        key = body = None
        while not (self.stop.is_set() and key is None):
            if key is None:
                n += 1
                key = f"{self.number}-{n}"
                body = self.body(key)
                tries = 0
            try:
                port = self.where["port"]
                if conn is None or conn.port != port:
                    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                tries += 1
                status, answer = self.post(conn, key, body)
            except (OSError, http.client.HTTPException):
                self.lost += 1
                conn = None
                time.sleep(0.005)
                continue
            if status == 503:
                self.refused += 1
                time.sleep(0.02)
                continue
            if status != 200 or answer["status"] not in ("accepted", "duplicate"):
                self.wrong.append((key, status, answer))
            elif answer["status"] == "duplicate":
                self.repeated += 1
                if tries == 1:
                    self.wrong.append((key, "new, but answered as a duplicate"))
            self.got[key] = answer.get("id")
            key = None


def test_what_got_a_200_survives_kill_9(tmp_path):
    print(f"seed {SEED}, {ROUNDS} rounds")
    rng = random.Random(SEED)
    stop = threading.Event()
    where = {"port": 1}
    clients = [Client(i, where, stop) for i in range(CLIENTS)]
    ran = collections.Counter()
    host = Host(tmp_path, "--workers", "1", wait=False)
    host.write("count.lua", SCRIPT)

    def count(lines):
        for line in lines:
            if line.get("msg") == "ran":
                ran[line["key"]] += 1

    for n in range(ROUNDS):
        host.start(wait=n % 5 != 4)
        if n % 5 == 4:
            # Killed while it starts, wherever that is.
            time.sleep(rng.uniform(0.0, 0.1))
        else:
            where["port"] = host.port
            if n == 0:
                for client in clients:
                    client.start()
            time.sleep(rng.uniform(0.02, 0.5))
        host.kill()
        count(host.lines)

    host.start()
    where["port"] = host.port
    stop.set()
    for client in clients:
        client.join(60)
        assert not client.is_alive()
    got = {key: id for client in clients for key, id in client.got.items()}
    wrong = [w for client in clients for w in client.wrong]
    assert not wrong, wrong[:5]
    print(f"{len(got)} deliveries, {sum(c.lost for c in clients)} answers lost, "
          f"{sum(c.repeated for c in clients)} duplicates, {sum(c.refused for c in clients)} refused")
    assert len(got) > ROUNDS * CLIENTS
    assert len(set(got.values())) == len(got), "ids are unique"

    def everything_done():
        db = sqlite3.connect(f"file:{host.data}/moonpost.db?mode=ro", uri=True)
        try:
            return db.execute("SELECT count(*) FROM job WHERE state <> ?", (DONE,)).fetchone()[0] == 0
        finally:
            db.close()

    eventually(everything_done, "all jobs are done", 60)
    assert host.stop() == 0
    count(host.lines)

    db = sqlite3.connect(f"{host.data}/moonpost.db")
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    stored = db.execute("SELECT idempotency_key, id FROM delivery").fetchall()
    jobs = collections.Counter(id >> JOB_BITS for id, in db.execute("SELECT id FROM job WHERE state = ?", (DONE,)))
    db.close()
    twice = [key for key, n in collections.Counter(key for key, _ in stored).items() if n > 1]
    assert not twice, twice[:5]
    ids = dict(stored)
    lost = [key for key, id in got.items() if str(ids.get(key)) != id]
    assert not lost, lost[:5]
    assert set(ids) == set(got), "each was sent until it was answered"
    assert all(jobs[id] == 1 for id in ids.values())
    never_run = [key for key in got if ran[key] == 0]
    # The log line of a handler comes before its job is stored as done.
    assert not never_run, never_run[:5]
    print(f"{sum(1 for n in ran.values() if n > 1)} ran more than once")
