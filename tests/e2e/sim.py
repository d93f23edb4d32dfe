"""A running moonpost sim for a test, and the calls that clients of Sentry make."""

import http.client
import json
import os
import signal
import subprocess
import threading
import urllib.parse
import urllib.request

from host import MOONPOST, PATIENCE_S, Answer, eventually

CLIENT_ID = "sim-client-4a1f"
CLIENT_SECRET = "sim-secret-93be"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
JWT_GRANT = "urn:sentry:params:oauth:grant-type:jwt-bearer"


class Sim:
    """moonpost sim on a free port; its log is read as data."""

    def __init__(self, *options, client_id=CLIENT_ID, secret=CLIENT_SECRET, scale=None):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("MOONPOST_", "SENTRY_"))}
        if client_id:
            env["SENTRY_CLIENT_ID"] = client_id
        if secret:
            env["SENTRY_CLIENT_SECRET"] = secret
        if scale:
            options = ("--time-scale", str(scale), *options)
        self.client_id = client_id
        self.secret = secret
        self.lines = []
        self.process = subprocess.Popen(
            [MOONPOST, "sim", "--listen", "127.0.0.1:0", "--json", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, cwd="/")
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        line = eventually(lambda: self.logged(msg="listening") or (self.process.poll() is not None and [None]), "sim listens")[0]
        assert line, self.lines
        self.url = line["url"]
        self.port = int(self.url.rsplit(":", 1)[1])

    def _read(self):
        for raw in self.process.stderr:
            text = raw.decode("utf-8", "replace").rstrip("\n")
            try:
                line = json.loads(text)
            except ValueError:
                line = {"raw": text}
            self.lines.append(line)

    def logged(self, **fields):
        return [line for line in list(self.lines) if all(line.get(k) == v for k, v in fields.items())]

    def stop(self, sig=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(sig)
        code = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        self.process.stdout.close()
        self.process.stderr.close()
        return code

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        code = self.stop(signal.SIGTERM if kind is None else signal.SIGKILL)
        if kind is None:
            assert code == 0, self.lines[-10:]

    # ---- requests --------------------------------------------------------
    def request(self, method, path, body=None, headers=None):
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            conn.request(method, path, body=body, headers=headers or {})
            r = conn.getresponse()
            return Answer(r.status, r.headers, r.read())
        finally:
            conn.close()

    def control(self, what, /, **body):
        """POST /sim/...; what came of it, as data."""
        answer = self.request("POST", f"/sim/{what}", json.dumps(body), {"Content-Type": "application/json"})
        assert answer.status == 200, answer
        return answer.json

    def calls(self, **fields):
        """What came in and went out so far, those that have these fields."""
        found = self.request("GET", "/sim/calls").json["calls"]
        return [call for call in found if all(call.get(k) == v for k, v in fields.items())]

    def api(self, method, path, body=None, token=None):
        """A call of the API, below /api/0."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(body)
        return self.request(method, "/api/0" + path, body, headers)

    def authorize(self, installation, body, token=None):
        return self.api("POST", f"/sentry-app-installations/{installation}/authorizations/", body, token)

    def exchange(self, made):
        """Exchange the code of what /sim/install answered."""
        return self.authorize(made["installation"], {
            "grant_type": "authorization_code", "code": made["code"],
            "client_id": self.client_id, "client_secret": self.secret})

    def refresh(self, installation, refresh_token):
        return self.authorize(installation, {
            "grant_type": "refresh_token", "refresh_token": refresh_token,
            "client_id": self.client_id, "client_secret": self.secret})

    def form(self, path, headers=None, **fields):
        return self.request("POST", path, urllib.parse.urlencode(fields),
                            {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})})

    def token(self, **fields):
        return self.form("/oauth/token/", **fields)
