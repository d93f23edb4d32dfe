#!/usr/bin/env python3
"""make bench: what moonpost accepts beside what else one would put there.

Each system runs on one core and is driven by wrk from the other, in rounds that take turns; every round
starts it anew, in an empty folder.  Every request is a signed delivery with an Idempotency-Key of its own,
and an answer that is not 2xx fails the bench.  Printed are medians over the rounds.

  BENCH_SECONDS      of each measurement (default 2)
  BENCH_ROUNDS       (default 3)
  BENCH_LAG_SECONDS  how long half the load is offered for the lag of the handlers (default 10)
  BENCH_SYSTEMS      names, comma separated (default all)
  BENCH_PARTS        of throughput,latency,lag,memory,start,limits (default all)
"""

import json
import os
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

import bodies

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
PEERS = os.path.join(HERE, "peers")
SECRET = "bench-secret-4c1f"
SECONDS = float(os.environ.get("BENCH_SECONDS", "2"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
LAG_SECONDS = float(os.environ.get("BENCH_LAG_SECONDS", "10"))
PARTS = os.environ.get("BENCH_PARTS", "throughput,latency,lag,memory,start,limits").split(",")
CONNECTIONS = 64
VARIANTS = 64
WARM_SECONDS = 0.5
STORE_CAP = "2GiB"
MEMORY_MIB = 4096  # Touched before a round that writes.
RETENTION = "7d"
SERVER_CORE, DRIVER_CORE = "0", "1"
TICK = os.sysconf("SC_CLK_TCK")
DONE = 3  # enum store_state

COUNTER = """local n = 0
function on_event(event)
  n = n + 1
end
"""


class Failed(Exception):
    pass


# ---- what it needs ---------------------------------------------------------------


def install():
    """What is missing of wrk and the peers, by apt and npm."""
    wanted = {"wrk": "/usr/bin/wrk", "nginx-light": "/usr/sbin/nginx",
              "libnginx-mod-http-lua": "/usr/lib/nginx/modules/ngx_http_lua_module.so",
              "lua-cjson": "/usr/share/lua/5.1/cjson", "webhook": "/usr/bin/webhook"}
    missing = [name for name, path in wanted.items() if not os.path.exists(path)]
    missing += [name for name in ("nodejs", "npm") if not shutil.which("node" if name == "nodejs" else name)]
    if missing:
        print("installing:", *missing, flush=True)
        sudo = [] if os.geteuid() == 0 else ["sudo"]
        env = ["env", "DEBIAN_FRONTEND=noninteractive"]
        command = [*sudo, *env, "apt-get", "install", "-y", "-q", "--no-install-recommends", *missing]
        if subprocess.run(command, stdout=subprocess.DEVNULL).returncode != 0:
            subprocess.run([*sudo, "apt-get", "update", "-q"], stdout=subprocess.DEVNULL)
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    node = os.path.join(BUILD, "bench-node")
    if not os.path.isdir(os.path.join(node, "node_modules", "express")):
        os.makedirs(node, exist_ok=True)
        shutil.copy(os.path.join(PEERS, "package.json"), node)
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent"], cwd=node, check=True)
    return node


# ---- processes -------------------------------------------------------------------


def tree(pid):
    """A process and what it has started."""
    found, at = [pid], 0
    while at < len(found):
        try:
            for thread in os.listdir(f"/proc/{found[at]}/task"):
                with open(f"/proc/{found[at]}/task/{thread}/children") as f:
                    found += [int(child) for child in f.read().split()]
        except OSError:
            pass
        at += 1
    return found


def cpu_seconds(pid):
    total = 0
    for p in tree(pid):
        try:
            with open(f"/proc/{p}/stat") as f:
                fields = f.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(int(v) for v in fields[11:15])  # utime stime cutime cstime
    return total / TICK


def pss_mib(pid):
    total = 0
    for p in tree(pid):
        try:
            with open(f"/proc/{p}/smaps_rollup") as f:
                total += next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
        except OSError:
            continue
    return total / 1024


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def have_memory():
    """Touch what the page cache will take: a virtual machine may have to be given it first, page by page, which
    would be counted as the work of whoever writes."""
    with open("/proc/meminfo") as f:
        available = next(int(line.split()[1]) for line in f if line.startswith("MemAvailable:")) // 1024
    size = min(MEMORY_MIB, available // 2)
    code = f"import mmap\nm = mmap.mmap(-1, {size} << 20)\nfor i in range(0, len(m), 4096): m[i] = 1"
    subprocess.run([sys.executable, "-c", code], check=True)


class Server:
    """A system, started in a folder of its own and stopped at the end."""

    def __init__(self, system, node, **options):
        self.folder = tempfile.mkdtemp(prefix="moonpost-bench-", dir=os.environ.get("BENCH_DIR"))
        os.chmod(self.folder, 0o755)
        self.port = free_port()
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("MOONPOST_", "SENTRY_"))}
        self.env.update(BENCH_SECRET=SECRET, BENCH_PORT=str(self.port), NODE_ENV="production", GOMAXPROCS="1",
                        NODE_PATH=os.path.join(node, "node_modules"), SENTRY_CLIENT_SECRET=SECRET)
        command = getattr(self, "command_" + system.split("-")[0])(system, **options)
        self.log = open(os.path.join(self.folder, "log"), "wb")
        self.process = subprocess.Popen(["taskset", "-c", SERVER_CORE, *command], env=self.env, cwd=self.folder,
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.wait_ready()

    def fill_in(self, name):
        with open(os.path.join(PEERS, name)) as f:
            text = f.read()
        for key, value in {"DIR": self.folder, "HERE": PEERS, "PORT": str(self.port), "SECRET": SECRET}.items():
            text = text.replace(f"@{key}@", value)
        path = os.path.join(self.folder, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def command_moonpost(self, system, scripts=1, source=COUNTER):
        folder = os.path.join(self.folder, "scripts")
        os.makedirs(folder)
        if system != "moonpost-ignored":
            for n in range(scripts):
                with open(os.path.join(folder, f"count_{n}.lua"), "w") as f:
                    f.write(source)
        return [os.path.join(BUILD, "moonpost"), "serve", "--listen", f"127.0.0.1:{self.port}", "--scripts", folder,
                "--data", os.path.join(self.folder, "data"), "--log", "json", "--log-level", "warn",
                "--store-max-bytes", STORE_CAP, "--retain-done", RETENTION,
                "--keep-unhandled", "off" if system == "moonpost-ignored" else "on"]

    def command_evhttp(self, _):
        return [os.path.join(BUILD, "release/tests/bench/peers/evhttp"), str(self.port), SECRET]

    def command_nginx(self, _):
        return ["/usr/sbin/nginx", "-p", self.folder, "-c", self.fill_in("nginx.conf")]

    def command_express(self, _):
        return ["node", os.path.join(PEERS, "express.js")]

    def command_webhook(self, _):
        return ["/usr/bin/webhook", "-hooks", self.fill_in("hooks.json"), "-ip", "127.0.0.1", "-port", str(self.port),
                "-urlprefix", ""]

    def wait_ready(self):
        end = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    self.fail("does not listen")
                time.sleep(0.002)

    def fail(self, what):
        with open(os.path.join(self.folder, "log"), "rb") as f:
            tail = f.read()[-2000:].decode("utf-8", "replace")
        raise Failed(f"{self.process.args[3]} {what}\n{tail}")

    def drive(self, requests, seconds, rate=None, connections=CONNECTIONS):
        """Let wrk send; returns what drive.lua says, with the CPU time that it cost here."""
        delay = [] if rate is None else [str(max(1, round(connections * 1000 / rate)))]
        run = str(time.monotonic_ns())
        before, start = cpu_seconds(self.process.pid), time.monotonic()
        out = subprocess.run(
            ["taskset", "-c", DRIVER_CORE, "wrk", "-t", "1", "-c", str(connections), "-d", f"{max(1, round(seconds))}s",
             "--timeout", "10s", "-s", os.path.join(HERE, "drive.lua"), f"http://127.0.0.1:{self.port}/webhook", "--",
             requests, run, *delay], capture_output=True, text=True)
        took = time.monotonic() - start
        after = cpu_seconds(self.process.pid)
        line = next((x for x in out.stdout.splitlines() if x.startswith("RESULT ")), None)
        if line is None:
            self.fail("could not be driven: " + out.stdout + out.stderr)
        result = json.loads(line[7:])
        if result["status_errors"] or result["socket_errors"] or not result["requests"]:
            self.fail(f"did not answer everything with 2xx: {line}")
        result["rate"] = result["requests"] / (result["duration_us"] / 1e6)
        result["cpu_us"] = (after - before) * 1e6 / result["requests"]
        result["busy"] = (after - before) / took
        return result

    def jobs(self):
        """Jobs by state, as the store has them on disk: (not done, done)."""
        db = sqlite3.connect(f"file:{self.store()}?mode=ro", uri=True, timeout=10)
        try:
            rows = dict(db.execute("SELECT state, sum(n) FROM tally WHERE script > 0 GROUP BY state").fetchall())
        finally:
            db.close()
        done = rows.pop(DONE, 0)
        return sum(rows.values()), done

    def store(self):
        data = os.path.join(self.folder, "data")
        for folder, _, names in os.walk(data):
            for name in names:
                if name.endswith((".db", ".sqlite")):
                    return os.path.join(folder, name)
        raise Failed(f"no database in {data}")

    def stop(self):
        for pid in reversed(tree(self.process.pid)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


# ---- what is measured ------------------------------------------------------------

SYSTEMS = {
    "moonpost": "moonpost (durable, handlers run behind)",
    "moonpost-ignored": "moonpost --keep-unhandled off, no handler",
    "evhttp": "evhttp with HMAC (the ceiling)",
    "nginx": "nginx + Lua: HMAC, cjson (not durable)",
    "express": "Express, as Sentry's example (not durable)",
    "webhook": "adnanh/webhook running /bin/true",
}

# What moonpost's rate is to be at least, as a part of the other's.
GOALS = {
    ("moonpost", "nginx", "1.6 KB"): 0.8, ("moonpost", "express", "1.6 KB"): 5.0,
    ("moonpost", "nginx", "22 KB"): 1.5, ("moonpost", "express", "22 KB"): 3.0,
    ("moonpost-ignored", "evhttp", "1.6 KB"): 0.8, ("moonpost-ignored", "evhttp", "22 KB"): 0.8,
}


def verdict(value, goal, unit="", below=False):
    good = value < goal if below else value >= goal
    if good:
        return f"ok (goal {'<' if below else '>='} {goal:g}{unit})"
    return f"MISSED by {abs(value - goal) / goal * 100:.0f} % (goal {'<' if below else '>='} {goal:g}{unit})"


def throughput(systems, files, node):
    """Rounds that take turns; returns the medians by system and body."""
    rounds = {}
    for n in range(ROUNDS):
        for size in files:
            for system in systems:
                print(f"\r  round {n + 1}/{ROUNDS}: {size:7} {system:20}", end="", flush=True)
                if system == "moonpost":
                    have_memory()
                with Server(system, node) as server:
                    server.drive(files[size], WARM_SECONDS)
                    result = server.drive(files[size], SECONDS)
                    if system == "moonpost":
                        result["behind"], result["done"] = server.jobs()
                    result["pss"] = pss_mib(server.process.pid)
                rounds.setdefault((system, size), []).append(result)
    print("\r" + " " * 60 + "\r", end="")
    return {key: {name: statistics.median(r[name] for r in values) for name in values[0]}
            for key, values in rounds.items()}


def print_throughput(medians, sizes):
    for size in sizes:
        print(f"\n{size} bodies: medians of {ROUNDS} rounds of {SECONDS:g} s, {CONNECTIONS} connections, one core")
        print(f"  {'':44} {'answers/s':>10} {'CPU us each':>12} {'p50 ms':>8} {'p99 ms':>8} {'PSS MiB':>8}")
        for system, title in SYSTEMS.items():
            m = medians.get((system, size))
            if m:
                print(f"  {title:44} {m['rate']:10.0f} {m['cpu_us']:12.1f} {m['p50_us'] / 1000:8.2f}"
                      f" {m['p99_us'] / 1000:8.2f} {m['pss']:8.1f}")
        for (one, other, of), goal in GOALS.items():
            a, b = medians.get((one, size)), medians.get((other, size))
            if of == size and a and b:
                ratio, cpu = a["rate"] / b["rate"], b["cpu_us"] / a["cpu_us"]
                print(f"  {one} / {other}: {ratio:.2f} x by rate, {cpu:.2f} x by CPU; {verdict(ratio, goal, ' x')}")


def latency(files, medians, node):
    print(f"\naccept latency of moonpost at half of its load, {SECONDS * 2:g} s")
    for size, requests in files.items():
        have_memory()
        with Server("moonpost", node) as server:
            rate = medians[("moonpost", size)]["rate"] / 2
            server.drive(requests, WARM_SECONDS, rate)
            r = server.drive(requests, SECONDS * 2, rate)
        print(f"  {size:7} {r['rate']:6.0f}/s  p50 {r['p50_us'] / 1000:.2f} ms  p99 {r['p99_us'] / 1000:.2f} ms"
              f" {verdict(r['p99_us'] / 1000, 10, ' ms', True)}  p99.9 {r['p999_us'] / 1000:.2f} ms"
              f" {verdict(r['p999_us'] / 1000, 50, ' ms', True)}")


def lag(files, medians, node):
    """Whether handlers keep up with half of what could be accepted."""
    print(f"\nhandled end to end at half of the accepted load, {LAG_SECONDS:g} s, in quarters")
    for size, requests in files.items():
        have_memory()
        with Server("moonpost", node) as server:
            rate = medians[("moonpost", size)]["rate"] / 2
            behind, memory, done, cpu = [], 0, 0, cpu_seconds(server.process.pid)
            for _ in range(4):
                r = server.drive(requests, LAG_SECONDS / 4, rate)
                behind.append(server.jobs()[0])
                memory = max(memory, pss_mib(server.process.pid))
            start = time.monotonic()
            while server.jobs()[0] and time.monotonic() - start < 120:
                time.sleep(0.05)
            drained = time.monotonic() - start
            left, done = server.jobs()
            each = (cpu_seconds(server.process.pid) - cpu) * 1e6 / max(done, 1)
        allowed = max(rate / 4, behind[1] * 1.5)
        print(f"  {size:7} offered {r['rate']:6.0f}/s  jobs behind {behind}, drained in {drained:.1f} s, {left} left;"
              f" {each:.0f} us CPU for each delivery with its handler; lag"
              f" {'does not grow' if behind[3] <= allowed else 'GROWS'}; {memory:.0f} MiB PSS at most,"
              f" {verdict(memory, 128, ' MiB', True)}")


def memory(node):
    with Server("moonpost", node, scripts=20) as server:
        time.sleep(2)
        pss = pss_mib(server.process.pid)
        n = len(tree(server.process.pid))
    print(f"\nidle with 20 scripts: {pss:.1f} MiB PSS in {n} processes, {verdict(pss, 32, ' MiB', True)}")


def start(node):
    """From exec to listening with every script loaded: serve listens when it is ready."""
    took = []
    for _ in range(max(5, ROUNDS)):
        begin = time.monotonic()
        with Server("moonpost", node, scripts=20):
            took.append((time.monotonic() - begin) * 1000)
    median = statistics.median(took)
    print(f"start to ready with 20 scripts: {median:.0f} ms (of {' '.join(f'{t:.0f}' for t in took)}),"
          f" {verdict(median, 100, ' ms', True)}")


def limits():
    """What the limits cost a script's arithmetic, beside the stock interpreter."""
    told = subprocess.run([os.path.join(BUILD, "release/tests/bench/bench_limits")], capture_output=True, text=True, check=True)
    print(told.stdout.strip())


def machine():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    system = next(line.split("=", 1)[1].strip().strip('"') for line in open("/etc/os-release")
                  if line.startswith("PRETTY_NAME"))
    return f"{model}, {os.cpu_count()} cores, {system}, load {os.getloadavg()[0]:.1f}"


def main():
    if (os.cpu_count() or 1) < 2:
        raise Failed("two cores are needed: one for the system, one for wrk")
    node = install()
    wanted = os.environ.get("BENCH_SYSTEMS", ",".join(SYSTEMS)).split(",")
    systems = [name for name in SYSTEMS if name in wanted]
    with tempfile.TemporaryDirectory(prefix="moonpost-bench-") as folder:
        files = {}
        for size, make in bodies.BODIES.items():
            content, length = bodies.requests(make, SECRET, VARIANTS)
            files[size] = os.path.join(folder, make.__name__)
            with open(files[size], "wb") as f:
                f.write(content)
            print(f"{size}: a body of {length} bytes, about {VARIANTS} issues")
        print(f"machine: {machine()}; store cap {STORE_CAP}, retention {RETENTION}")
        medians = throughput(systems if "throughput" in PARTS else ["moonpost"], files, node)
        print_throughput(medians, files)
        if "moonpost" in systems and "latency" in PARTS:
            latency(files, medians, node)
        if "moonpost" in systems and "lag" in PARTS:
            lag(files, medians, node)
        if "memory" in PARTS:
            memory(node)
        if "start" in PARTS:
            start(node)
        if "limits" in PARTS:
            limits()


if __name__ == "__main__":
    try:
        main()
    except Failed as e:
        sys.exit(f"bench: {e}")
    except KeyboardInterrupt:
        sys.exit(130)
