#!/usr/bin/env python3
"""make bench-scale: 10,000 handlers that sleep and 2,000 requests that wait, on one worker.

usage: tests/bench/scale.py [--sleeps 10000] [--requests 2000]

The host runs with its caps raised.  What one of them costs is the growth of the worker's memory (its private pages)
divided by their number; of a sleep, the event that its handler holds is taken off, which is measured by handlers that
keep the event in a table and end.  All of them are then let go, and must end well.
"""

import argparse
import asyncio
import hashlib
import hmac
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SECRET = "scale-secret"
PATIENCE_S = 120

SCRIPT = """
kept = {}
function on_event(event)
  if event.resource == "keep" then
    kept[#kept + 1] = event
  elseif event.resource == "sleep" then
    sleep(event.data.seconds)
  else
    local res = assert(http.post("@PEER@", { json = { n = event.data.n }, timeout = 100 }))
    assert(res.ok)
  end
end
"""


class Failed(Exception):
    pass


def eventually(check, what):
    end = time.monotonic() + PATIENCE_S
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"did not happen in {PATIENCE_S} s: {what}")
        time.sleep(0.05)


class Peer:
    """Takes requests, and answers them all when it is told to."""

    def __init__(self):
        self.waiting = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()
        self._ready.wait()

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._go = asyncio.Event()
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=4096))
        self.url = "http://127.0.0.1:%d/" % server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()

    async def _serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                self.waiting += 1
                await self._go.wait()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def go(self):
        self._loop.call_soon_threadsafe(self._go.set)


class Host:
    def __init__(self, folder, program, peer, most):
        self.data = os.path.join(folder, "data")
        scripts = os.path.join(folder, "scripts")
        os.makedirs(scripts)
        with open(os.path.join(scripts, "scale.lua"), "w") as f:
            f.write(SCRIPT.replace("@PEER@", peer.url))
        self.log = os.path.join(folder, "log")
        env = {k: v for k, v in os.environ.items() if not k.startswith(("MOONPOST_", "SENTRY_"))}
        env["SENTRY_CLIENT_SECRET"] = SECRET
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [program, "serve", "--listen", "127.0.0.1:0", "--console", "127.0.0.1:0", "--scripts", scripts,
                 "--data", self.data, "--log", "json", "--log-level", "warn", "--workers", "1", "--concurrency", str(most),
                 "--handler-timeout", "10m", "--memory-limit", "1GiB", "--allow-host", "127.0.0.1", "--validation", "off",
                 "--retry-attempts", "1"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, env=env)
        self.console = eventually(lambda: self._read("console-address"), "it listens")
        self.token = eventually(lambda: self._read("console-token"), "it has a token")
        eventually(lambda: self.script()["state"] == "loaded", "the script is loaded")
        self.port = eventually(self._port, "it has a port")
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def _read(self, name):
        try:
            with open(os.path.join(self.data, name)) as f:
                return f.read().strip()
        except FileNotFoundError:
            return None

    def _port(self):
        """The listener's, which is the one that is not the console's."""
        console = int(self.console.rsplit(":", 1)[1].rstrip("/"))
        inodes = {os.readlink(f"/proc/{self.process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{self.process.pid}/fd")}
        with open("/proc/net/tcp") as f:
            for line in list(f)[1:]:
                at = line.split()
                port = int(at[1].split(":")[1], 16)
                if at[3] == "0A" and f"socket:[{at[9]}]" in inodes and port != console:
                    return port
        return None

    def get(self, path):
        host = self.console.split("//")[-1].rstrip("/")
        conn = http.client.HTTPConnection(host, timeout=60)
        conn.request("GET", path, headers={"Authorization": "Bearer " + self.token})
        answer = conn.getresponse().read()
        conn.close()
        return json.loads(answer)

    def script(self):
        return self.get("/api/scripts")["scripts"][0]

    def running(self):
        return self.script()["running"]

    def is_idle(self):
        script = self.script()
        return script["pending"] + script["running"] == 0

    def deliver(self, resource, **data):
        body = json.dumps({"action": "created", "data": data, "installation": {"uuid": "u"}, "actor": {"type": "user"}}).encode()
        self.connection.request("POST", "/webhook", body=body, headers={
            "Content-Type": "application/json", "Sentry-Hook-Resource": resource,
            "Sentry-Hook-Signature": hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise Failed(f"{answer.status} {text!r}")

    def worker(self):
        """The process that has the scripts: the one with the most memory."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as f:
            return max(map(int, f.read().split()), key=self.memory)

    @staticmethod
    def memory(pid):
        with open(f"/proc/{pid}/smaps_rollup") as f:
            return sum(int(line.split()[1]) * 1024 for line in f if line.startswith(("Private_Dirty", "Private_Clean", "Swap:")))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)


def grow(host, resource, n, begun, **data):
    """How much memory ${n} deliveries take that have begun."""
    pid = host.worker()
    before = host.memory(pid)
    for k in range(n):
        host.deliver(resource, n=k, **data)
    eventually(begun, f"{n} of {resource} have begun")
    return (host.memory(pid) - before) / n


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--sleeps", type=int, default=10000)
    args.add_argument("--requests", type=int, default=2000)
    args = args.parse_args()
    program = os.path.join(ROOT, os.environ.get("BUILD") or "build", "moonpost")
    folder = tempfile.mkdtemp(prefix="moonpost-scale-")
    peer = Peer()
    host = Host(folder, program, peer, max(args.sleeps, args.requests))
    bad = 0
    try:
        # Libraries and pools are there before anything is measured.
        for resource in ("keep", "sleep"):
            grow(host, resource, 100, host.is_idle, seconds=0)
        event = grow(host, "keep", args.sleeps, host.is_idle, seconds=0)
        sleep = grow(host, "sleep", args.sleeps, lambda: host.running() == args.sleeps, seconds=40)
        print(f"{args.sleeps} sleeps at once on one worker: {sleep:.0f} bytes each, of which its event {event:.0f}: "
              f"{sleep - event:.0f} (at most 2048)")
        bad |= sleep - event > 2048
        eventually(host.is_idle, "the sleeps are over")
        asked = grow(host, "ask", args.requests, lambda: peer.waiting == args.requests)
        print(f"{args.requests} requests at once on one worker: {asked:.0f} bytes each, its event included (at most 32768)")
        bad |= asked > 32768
        peer.go()
        eventually(host.is_idle, "the requests are answered")
        dead = host.get("/api/deliveries?state=dead")["deliveries"]
        if dead:
            raise Failed(f"{len(dead)} deliveries are dead: {dead[0]}")
        if host.stop() != 0:
            raise Failed("it did not stop well")
    except Failed as e:
        print(f"scale: {e}")
        with open(host.log, errors="replace") as f:
            print("".join(f.readlines()[-10:]))
        bad = 1
    finally:
        if host.process.poll() is None:
            host.process.kill()
            host.process.wait()
        shutil.rmtree(folder, ignore_errors=True)
    return int(bad)


sys.exit(main())
