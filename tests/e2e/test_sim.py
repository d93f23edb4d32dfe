"""moonpost sim, compared with what Sentry is known to do."""

import base64
import datetime
import hashlib
import hmac
import json
import re
import time
import uuid

import golden
from sim import CLIENT_ID, CLIENT_SECRET, DEVICE_GRANT, Sim


def jwt(secret=CLIENT_SECRET, lasts=60, **claims):
    """A token as a client signs it for the JWT grant."""
    now = int(time.time())
    full = {"iss": CLIENT_ID, "sub": CLIENT_ID, "iat": now, "exp": now + lasts, "jti": str(uuid.uuid4()), **claims}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
             for part in ({"alg": "HS256", "typ": "JWT"}, full)]
    text = b".".join(parts)
    mac = hmac.new(secret.encode(), text, hashlib.sha256).digest()
    return (text + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


def test_the_install_flow_is_sentrys():
    known = {"jwt": jwt(), "bad_jwt": jwt(secret="another"), "old_jwt": jwt(lasts=-1)}
    with Sim() as sim:
        golden.play(sim, "install", known)
    lives = [datetime.datetime.fromisoformat(known[k].replace("Z", "+00:00")) for k in ("created", "expires")]
    assert lives[1] - lives[0] == datetime.timedelta(hours=8)


def test_the_oauth_server_is_sentrys():
    with Sim() as sim:
        golden.play(sim, "oauth", {})


def test_the_calls_of_handlers_are_sentrys():
    with Sim() as sim:
        known = {}
        golden.play(sim, "rest", known)
        issue = "/organizations/acme/issues/77/"
        before = sim.api("GET", issue, token=known["token"]).json
        after = sim.api("PUT", issue, {"status": "resolvedInNextRelease", "assignedTo": "team:42", "hasSeen": True, "priority": "low"},
                        token=known["token"])
        assert after.status == 200
        changed = {key for key, value in after.json.items() if value != before[key]}
        assert changed == {"status", "statusDetails", "assignedTo", "hasSeen", "priority"}
        assert after.json["status"] == "resolved" and after.json["statusDetails"] == {"inNextRelease": True}
        assert after.json["assignedTo"]["type"] == "team" and after.json["assignedTo"]["id"] == "42"
        assert (before["id"], before["numComments"]) == ("77", 2)
        assert sim.api("GET", issue, token=known["token"]).json == after.json
        again = sim.api("PUT", "/issues/77/", {"status": "unresolved", "assignedTo": ""}, token=known["token"]).json
        assert (again["status"], again["statusDetails"], again["assignedTo"]) == ("unresolved", {}, None)


def test_pages_of_issues():
    with Sim() as sim:
        made = sim.control("install", org="acme")
        token = sim.exchange(made).json["token"]
        sim.control("issues", count=247, org="acme")
        seen, path = [], "/organizations/acme/issues/?per_page=100"
        for rows in (100, 100, 50):
            answer = sim.api("GET", path, token=token)
            assert len(answer.json) == rows
            seen += [issue["id"] for issue in answer.json]
            url, results = re.search(r'<([^>]*)>; rel="next"; results="(\w+)"', answer.headers["Link"]).groups()
            assert results == ("true" if rows == 100 else "false")
            path = url[len(sim.url + "/api/0"):]
        assert len(set(seen)) == 250


def test_a_person_confirms_on_the_page():
    with Sim() as sim:
        for action, said in (("approve", "Approved."), ("deny", "Denied.")):
            device = sim.form("/oauth/device/code/", client_id=CLIENT_ID).json
            page = sim.request("GET", device["verification_uri_complete"][len(sim.url):])
            assert page.status == 200 and page.headers["Content-Type"] == "text/html; charset=utf-8"
            assert f'value="{device["user_code"]}"'.encode() in page.body
            assert said.encode() in sim.form("/oauth/device/", user_code=device["user_code"].lower(), action=action).body
            answer = sim.token(grant_type=DEVICE_GRANT, client_id=CLIENT_ID, device_code=device["device_code"])
            assert answer.status == (200 if action == "approve" else 400), answer
        assert sim.form("/oauth/device/", user_code="none", action="approve").status == 400
        page = sim.request("GET", "/oauth/device/?user_code=%22%3E%3Cscript%3E")
        assert b"<script" not in page.body


def test_no_secret_is_in_log_or_calls():
    known = {"jwt": jwt(), "bad_jwt": jwt(secret="another"), "old_jwt": jwt(lasts=-1)}
    with Sim() as sim:
        golden.play(sim, "install", known)
        golden.play(sim, "oauth", known)
        seen = json.dumps(sim.calls()) + json.dumps(sim.lines)
    assert "/oauth/token/" in seen
    for name in ("client_secret", "jwt", "code", "token", "refresh", "second", "third", "device", "denied", "good"):
        assert known[name] not in seen, name
