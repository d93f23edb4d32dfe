"""Sentry as an integration sees it, for the tests of installations and tokens: codes and refresh
tokens work once, tokens end, and what was asked is kept.  Bodies and headers are those of
payloads/api.*, written down from Sentry's documentation."""

import base64
import hashlib
import hmac
import json
import threading
import time
import uuid

from peer import Peer

CLIENT_ID = "client-id-1"
SECRET = "client-secret-canary-5b1f"
JWT_GRANT = "urn:sentry:params:oauth:grant-type:jwt-bearer"
ORG = "acme-co"
APP = "our-app"


def unbase64url(s):
    return base64.urlsafe_b64decode(s + "=" * (-len(s) % 4))


class FakeSentry(Peer):
    def __init__(self):
        super().__init__(self.serve)
        self.lock = threading.Lock()
        self.codes = {}       # code -> installation
        self.tokens = {}      # token -> installation
        self.refreshes = {}   # refresh token -> installation
        self.spent = []       # codes and refresh tokens that were sent
        self.jtis = []
        self.verified = []
        self.lifetime_s = 8 * 3600
        self.made = []        # every secret that must never be printed
        self.faults = []
        self.grants = []      # what was asked for, in order
        self.before_answer = lambda grant: None  # called when it has counted
        self.api = lambda request: (200, {})
        self.down = False

    # ---- what a test does --------------------------------------------------
    def install(self):
        """A new installation with its code."""
        code, installation = f"code-canary-{uuid.uuid4().hex}", str(uuid.uuid4())
        self.codes[code] = installation
        self.made.append(code)
        return installation, code

    def expire(self):
        """No token is good any more."""
        with self.lock:
            self.tokens.clear()

    def event(self, installation, code=None, action="created"):
        """The webhook of an installation."""
        data = {"status": "pending", "organization": {"slug": ORG, "id": 1},
                "app": {"uuid": str(uuid.uuid4()), "slug": APP, "sentryAppId": 1}, "uuid": installation}
        if code:
            data["code"] = code
        return {"action": action, "actor": {"id": 1, "name": "Meredith Heller", "type": "user"},
                "data": {"installation": data}, "installation": {"uuid": installation}}

    # ---- what Sentry does --------------------------------------------------
    def issue(self, installation):
        for old in [t for t, i in self.tokens.items() if i == installation]:
            del self.tokens[old]
        for old in [t for t, i in self.refreshes.items() if i == installation]:
            del self.refreshes[old]
        token, refresh = (f"{kind}-canary-{uuid.uuid4().hex}" for kind in ("token", "refresh"))
        self.tokens[token] = installation
        self.refreshes[refresh] = installation
        self.made += [token, refresh]
        now, end = (time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() + s)) for s in (0, self.lifetime_s))
        return 201, {"id": "38", "token": token, "refreshToken": refresh, "dateCreated": now,
                     "expiresAt": end, "state": None, "application": None}

    def spend(self, what, kind):
        if what in self.spent:
            self.faults.append(f"{kind} sent again")
        self.spent.append(what)

    def check_jwt(self, token):
        head, claims, signature = token.split(".")
        want = hmac.new(SECRET.encode(), f"{head}.{claims}".encode(), hashlib.sha256).digest()
        claims = json.loads(unbase64url(claims))
        good = (unbase64url(signature) == want and json.loads(unbase64url(head))["alg"] == "HS256"
                and claims["iss"] == claims["sub"] == CLIENT_ID and claims["exp"] == claims["iat"] + 60
                and abs(claims["iat"] - time.time()) < 60 and claims["jti"] not in self.jtis)
        self.jtis.append(claims["jti"])
        if not good:
            self.faults.append(f"bad JWT {claims}")
        return good

    def authorize(self, request, installation):
        body = request.json
        grant = body["grant_type"]
        self.grants.append(grant)
        if request.headers.get("Content-Type") != "application/json":
            self.faults.append("not sent as JSON")
        if grant == JWT_GRANT:
            if list(body) != ["grant_type"]:
                self.faults.append(f"JWT grant with {list(body)}")
            scheme, _, token = request.headers["Authorization"].partition(" ")
            return self.issue(installation) if scheme == "Bearer" and self.check_jwt(token) else (401, {"detail": "Unauthorized"})
        if (body["client_id"], body["client_secret"]) != (CLIENT_ID, SECRET):
            return 401, {"detail": "Invalid credentials"}
        if grant == "authorization_code":
            self.spend(body["code"], "code")
            if self.codes.pop(body["code"], None) != installation:
                return 401, {"detail": "Could not find grant for given code"}
        else:
            self.spend(body["refresh_token"], "refresh token")
            if self.refreshes.pop(body["refresh_token"], None) != installation:
                return 401, {"detail": "Refresh token not found"}
        return self.issue(installation)

    def holder(self, request):
        scheme, _, token = (request.headers.get("Authorization") or "").partition(" ")
        return self.tokens.get(token) if scheme == "Bearer" else None

    def serve(self, request):
        if self.down:
            return 503, {"detail": "Internal Error"}
        parts = request.path.strip("/").split("/")
        if parts[:3] == ["api", "0", "sentry-app-installations"] and parts[-1] == "authorizations":
            with self.lock:
                answer = self.authorize(request, parts[3])
            self.before_answer(request.json["grant_type"])
            return answer
        with self.lock:
            installation = self.holder(request)
        if installation is None:
            return 401, {"detail": "Token not found"}
        if request.method == "PUT" and parts[:3] == ["api", "0", "sentry-app-installations"] and len(parts) == 4:
            if request.json != {"status": "installed"} or parts[3] != installation:
                self.faults.append(f"verified as {request.json}")
            self.verified.append(installation)
            return 200, {"app": {"uuid": str(uuid.uuid4()), "slug": APP}, "organization": {"slug": ORG},
                         "uuid": installation, "status": "installed"}
        return self.api(request)
