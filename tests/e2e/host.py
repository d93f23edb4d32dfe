"""A running moonpost for a test: started on free ports and temporary folders,
its log read as data, stopped by pid."""

import hashlib
import hmac
import http.client
import json
import os
import signal
import subprocess
import threading
import time
import urllib.parse
import uuid

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MOONPOST = os.environ.get("MOONPOST_BIN") or os.path.join(ROOT, "build", "moonpost")
SECRET = "test-secret-8f2b"

# Generous: a condition that never comes true fails the test, it does not slow it.
PATIENCE_S = 30


def sign(body, secret=SECRET):
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def eventually(check, what, patience=PATIENCE_S, pause=0.01):
    """Wait until check() is true and return what it gave."""
    end = time.monotonic() + patience
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"did not happen in {patience} s: {what}")
        time.sleep(pause)


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class Host:
    """moonpost serve on folder/scripts and folder/data."""

    def __init__(self, folder, *options, env=None, secret=SECRET, wait=True, prefix=()):
        self.folder = str(folder)
        self.scripts = os.path.join(self.folder, "scripts")
        self.data = os.path.join(self.folder, "data")
        os.makedirs(os.path.join(self.scripts, "lib"), exist_ok=True)
        self.options = options
        self.prefix = list(prefix)  # Another program that becomes moonpost, as unshare does.
        self.env = dict(env or {})
        self.secret = secret
        self.lines = []
        self.process = None
        self.port = None
        self.console_port = None
        self._connections = threading.local()
        if wait:
            self.start()

    # ---- the folder ------------------------------------------------------
    def write(self, name, source):
        """Save a script the way a careful editor does: whole, by rename."""
        path = os.path.join(self.scripts, name)
        tmp = path + ".tmp~"
        with open(tmp, "w") as f:
            f.write(source)
        os.rename(tmp, path)

    # ---- its life --------------------------------------------------------
    def start(self, wait=True):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("MOONPOST_", "SENTRY_"))}
        if self.secret:
            env["SENTRY_CLIENT_SECRET"] = self.secret
        env.update(self.env)
        self.lines = []
        self.process = subprocess.Popen(
            [*self.prefix, MOONPOST, "serve", "--listen", "127.0.0.1:0", "--console", "127.0.0.1:0", "--scripts", self.scripts, "--data", self.data,
             "--log", "json", "--log-level", "debug", *self.options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env, cwd=self.folder)
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()
        if wait:
            line = self.log(msg="listening")
            self.port = int(line["url"].rsplit(":", 1)[1])
            found = self.logged(msg="console")
            self.console_port = int(found[0]["url"].rstrip("/").rsplit(":", 1)[1]) if found else None
        return self

    def _read(self, process):
        for raw in process.stderr:
            text = raw.decode("utf-8", "replace").rstrip("\n")
            try:
                line = json.loads(text)
            except ValueError:
                line = {"raw": text}
            self.lines.append(line)

    def stop(self, sig=signal.SIGTERM, patience=PATIENCE_S):
        """Stop it and return its exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("did not stop\n" + self.tail())
        self._reader.join(PATIENCE_S)
        self.process.stderr.close()
        self.process = None
        self._connections = threading.local()
        return code

    def kill(self):
        self.stop(signal.SIGKILL)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.process is None:
            return
        if kind is None:
            assert self.stop() == 0, self.tail()
        else:
            print(self.tail())
            self.kill()

    # ---- its log ---------------------------------------------------------
    def tail(self, n=30):
        return "\n".join(json.dumps(line) for line in self.lines[-n:])

    def logged(self, **fields):
        """The lines so far that have these fields."""
        return [line for line in list(self.lines) if all(line.get(k) == v for k, v in fields.items())]

    def log(self, count=1, **fields):
        """Wait for a line with these fields (count: that many) and return the last."""
        def check():
            found = self.logged(**fields)
            if len(found) >= count:
                return found
            if self.process is not None and self.process.poll() is not None and not self._reader.is_alive():
                found = self.logged(**fields)
                if len(found) >= count:
                    return found
                raise AssertionError(f"it has stopped; no line {fields}\n" + self.tail())
            return None
        try:
            return eventually(check, f"log line {fields}")[-1]
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.tail()}") from None

    # ---- talking to it ---------------------------------------------------
    def request(self, method, path, body=b"", headers=None):
        """One request on this thread's kept-alive connection."""
        for again in (False, True):
            conn = getattr(self._connections, "conn", None)
            if conn is None:
                conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
                self._connections.conn = conn
            try:
                conn.request(method, path, body=body, headers=headers or {})
                r = conn.getresponse()
                return Answer(r.status, r.headers, r.read())
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                conn.close()
                self._connections.conn = None
                if again:
                    raise
        raise AssertionError("unreachable")

    @property
    def token(self):
        with open(os.path.join(self.data, "console-token")) as f:
            return f.read().strip()

    def console(self, method, path, body=None, headers=None, token=True):
        """One request to the console, with its token; body is data, or bytes as they are."""
        full = {}
        if token:
            full["Authorization"] = f"Bearer {self.token}"
        if method == "POST":
            full["Content-Type"] = "application/json"
        full.update(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        conn = http.client.HTTPConnection("127.0.0.1", self.console_port, timeout=PATIENCE_S)
        try:
            conn.request(method, path, body=body, headers={k: v for k, v in full.items() if v is not None})
            r = conn.getresponse()
            return Answer(r.status, r.headers, r.read())
        finally:
            conn.close()

    def api(self, path, **query):
        """What GET /api/PATH answers, as data."""
        query = "&".join(f"{k}={urllib.parse.quote(str(v))}" for k, v in query.items())
        answer = self.console("GET", f"/api/{path}" + (f"?{query}" if query else ""))
        assert answer.status == 200, answer
        return answer.json

    def post(self, path, body=None):
        answer = self.console("POST", f"/api/{path}", {} if body is None else body)
        assert answer.status == 200, answer
        return answer.json

    def deliver(self, resource, body, path="/webhook", secret=None, key=None, **headers):
        """A delivery as Sentry sends it; a header set to None is left out."""
        if not isinstance(body, bytes):
            body = json.dumps(body, separators=(",", ":")).encode()
        full = {
            "Content-Type": "application/json",
            "Request-ID": uuid.uuid4().hex,
            "Sentry-Hook-Resource": resource,
            "Sentry-Hook-Timestamp": str(int(time.time())),
            "Sentry-Hook-Signature": sign(body, secret or self.secret),
        }
        if key is not None:
            full["Idempotency-Key"] = key
        for name, value in headers.items():
            full[name.replace("_", "-")] = value
        return self.request("POST", path, body, {k: v for k, v in full.items() if v is not None})
