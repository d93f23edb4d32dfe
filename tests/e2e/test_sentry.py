"""Installations, tokens and the client of Sentry's API, against a Sentry of our own."""

import json
import os
import threading
import time
import uuid

import pytest

from fakesentry import APP, CLIENT_ID, JWT_GRANT, ORG, SECRET, FakeSentry
from host import Host, eventually


@pytest.fixture
def sentry():
    with FakeSentry() as s:
        yield s
        assert s.faults == []


def host_of(folder, sentry, *options, script=None, env=None, wait=True, **kw):
    host = Host(folder, *options, secret=SECRET, wait=False, **kw,
                env={"SENTRY_CLIENT_ID": CLIENT_ID, "SENTRY_URL": sentry.url, **(env or {})})
    if script:
        host.write("a.lua", script)
    if wait:
        host.start()
    return host


def jobs(host, handler=None):
    return [j for d in host.api("deliveries", limit=100)["deliveries"] for j in d["jobs"] if handler in (None, j["handler"])]


def done(host, count=1, state="done"):
    """Wait until that many jobs have ended so."""
    eventually(lambda: sum(j["state"] == state for j in jobs(host)) >= count, f"{count} jobs {state}: {jobs(host)}")


def assert_nothing_printed(host, sentry):
    """No secret is in any line of the log or answer of the console."""
    said = json.dumps(host.lines)
    for d in host.api("deliveries", limit=100)["deliveries"]:
        said += json.dumps(host.api(f"deliveries/{d['id']}"))
    for secret in [*sentry.made, SECRET]:
        assert secret not in said, secret[:14]


# ---- installing ----------------------------------------------------------------

SAY = """
function on_installation(event)
  if event.action ~= "created" then return end
  local i, message = sentry.install(event)
  log.info("installed", { org = i and i.organization.slug, app = i and i.app.slug, message = message })
end
"""


def test_a_webhook_installs_before_the_handler_runs(tmp_path, sentry):
    with host_of(tmp_path, sentry, script=SAY) as host:
        installation, code = sentry.install()
        assert host.deliver("installation", sentry.event(installation, code)).status == 200
        line = host.log(msg="installed")
        assert (line["org"], line["app"]) == (ORG, APP)
        assert sentry.grants == ["authorization_code"]
        assert sentry.verified == [installation]
        done(host)
        assert_nothing_printed(host, sentry)


def test_an_installation_that_no_script_handles_is_finished_too(tmp_path, sentry):
    with host_of(tmp_path, sentry, "--keep-unhandled", "off", script="function on_issue() end") as host:
        installation, code = sentry.install()
        host.deliver("installation", sentry.event(installation, code))
        eventually(lambda: sentry.verified == [installation], "verified")


def test_without_auto_install_the_script_does_it(tmp_path, sentry):
    script = "function on_install(event) log.info('before', {n = 1}) sentry.install(event) log.info('after') end"
    with host_of(tmp_path, sentry, "--auto-install", "off", script=script) as host:
        installation, code = sentry.install()
        host.deliver("installation", sentry.event(installation, code))
        host.log(msg="after")
        assert sentry.verified == [installation]


def redirect(host, code, installation, org=ORG):
    return host.request("GET", f"/setup?code={code}&installationId={installation}&orgSlug={org}")


def test_the_redirect_installs_and_sends_the_person_on(tmp_path, sentry):
    with host_of(tmp_path, sentry) as host:
        installation, code = sentry.install()
        answer = redirect(host, code, installation)
        where = f"{sentry.url}/settings/{ORG}/sentry-apps/{APP}/"
        assert (answer.status, answer.headers["Location"]) == (302, where)
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        again = redirect(host, code, installation)
        assert (again.status, again.headers["Location"]) == (302, where)
        assert sentry.grants == ["authorization_code"] and sentry.verified == [installation]
        assert_nothing_printed(host, sentry)


def test_webhook_and_redirect_at_once_are_one_exchange(tmp_path, sentry):
    with host_of(tmp_path, sentry, "--setup-redirect", "https://example.com/welcome", script=SAY) as host:
        installation, code = sentry.install()
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(redirect(host, code, installation))) for _ in range(4)]
        threads += [threading.Thread(target=lambda: host.deliver("installation", sentry.event(installation, code))) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        host.log(msg="installed", count=4)
        assert [(a.status, a.headers["Location"]) for a in answers] == [(302, "https://example.com/welcome")] * 4
        assert sentry.grants == ["authorization_code"] and sentry.verified == [installation]


def test_a_redirect_that_is_none_of_sentrys_is_a_page(tmp_path, sentry):
    with host_of(tmp_path, sentry) as host:
        installation, code = sentry.install()
        for query in ("", "?code=x", f"?code={code}&installationId={installation}", f"?code={code}&installationId=7&orgSlug=a",
                      f"?code={code}&installationId={installation}&orgSlug=a/../b", f"?code=%00&installationId={installation}&orgSlug=a"):
            answer = host.request("GET", "/setup" + query)
            assert answer.status == 400, query
        assert host.request("POST", "/setup").status == 405
        assert sentry.grants == []


def test_a_refused_installation_is_a_page_without_secrets(tmp_path, sentry):
    with host_of(tmp_path, sentry) as host:
        installation, code = sentry.install()
        sentry.check_jwt = lambda token: False
        answer = redirect(host, "not-a-code-<b>", installation)
        assert answer.status == 502 and answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert b"Could not find grant" in answer.body and b"<b>" not in answer.body and SECRET.encode() not in answer.body
        assert sentry.grants == ["authorization_code", JWT_GRANT]
        sentry.down = True
        assert redirect(host, code, installation).status == 503


def test_setup_needs_the_client_id(tmp_path, sentry):
    with Host(tmp_path, secret=SECRET) as host:
        answer = redirect(host, "x", str(uuid.uuid4()))
        assert answer.status == 503 and b"SENTRY_CLIENT_ID" in answer.body


def test_sentry_being_down_is_a_retry_and_refusal_is_told(tmp_path, sentry):
    with host_of(tmp_path, sentry, "--retry-base", "100ms", "--retry-max", "500ms", script=SAY) as host:
        installation, code = sentry.install()
        sentry.down = True
        host.deliver("installation", sentry.event(installation, code))
        failed = host.log(msg="handler failed")
        assert "installing" in failed["error"] and "503" in failed["error"]
        assert host.logged(msg="installed") == []
        sentry.down = False
        assert host.log(msg="installed")["org"] == ORG
        # The code was spent while Sentry was down.
        assert sentry.grants[-1] == JWT_GRANT
        sentry.check_jwt = lambda token: False
        host.deliver("installation", sentry.event(str(uuid.uuid4()), "used-code"))
        assert "Could not find grant" in host.log(msg="installed", count=2)["message"]


def test_what_a_killed_host_left_is_done_by_the_next(tmp_path, sentry):
    """Whether a script handles it or not."""
    for script in (None, SAY):
        host = host_of(tmp_path / str(bool(script)), sentry, script=script)
        installation, code = sentry.install()
        held = threading.Event()
        sentry.before_answer = lambda grant: held.wait(20)
        assert host.deliver("installation", sentry.event(installation, code)).status == 200
        eventually(lambda: code in sentry.spent, "the exchange began")
        host.kill()
        sentry.before_answer = lambda grant: None
        held.set()
        with host.start():
            eventually(lambda: installation in sentry.verified, "verified")
            if script:
                host.log(msg="installed")
        assert sentry.grants[-1] == JWT_GRANT


def test_deleted_forgets(tmp_path, sentry):
    script = "function on_issue(event) local _, m, c = sentry.api(event):get('/x/') log.info('got', {code = c}) end"
    with host_of(tmp_path, sentry, script=script) as host:
        installation, code = sentry.install()
        redirect(host, code, installation)
        host.deliver("installation", sentry.event(installation, action="deleted"))
        host.log(msg="tokens forgotten: uninstalled")
        sentry.check_jwt = lambda token: False
        host.deliver("issue", issue(installation))
        assert host.log(msg="got")["code"] == "unauth"


# ---- tokens ----------------------------------------------------------------------

def issue(installation, n=1):
    return {"action": "created", "actor": {"type": "application", "id": "sentry", "name": "Sentry"},
            "installation": {"uuid": installation},
            "data": {"issue": {"id": str(1170820242 + n), "title": "boom", "project": {"id": "1", "slug": "p", "name": "p"}}}}


CALL = """
function on_issue(event)
  local res, message, code = sentry.api(event):get("/organizations/{org}/issues/" .. event.data.issue.id .. "/")
  if not res then error(message) end
  log.info("answered", { status = res.status, detail = res.detail, body = res.body })
end
"""


def installed(host, sentry):
    installation, code = sentry.install()
    assert redirect(host, code, installation).status == 302
    return installation


def test_a_handler_calls_the_api(tmp_path, sentry):
    with host_of(tmp_path, sentry, "--validation", "off", script=CALL) as host:
        installation = installed(host, sentry)
        host.deliver("issue", issue(installation))
        assert host.log(msg="answered")["status"] == 200
        last = sentry.requests[-1]
        assert (last.method, last.path) == ("GET", f"/api/0/organizations/{ORG}/issues/1170820243/")
        done(host)
        found = host.api("deliveries", resource="issue")["deliveries"][0]
        call = host.api(f"deliveries/{found['id']}")["jobs"][0]["runs"][0]["calls"][0]
        assert (call["method"], call["status"]) == ("GET", 200)
        assert_nothing_printed(host, sentry)


def test_many_with_one_expired_token_cause_one_refresh(tmp_path, sentry):
    with host_of(tmp_path, sentry, "--validation", "off", "--workers", "2", script=CALL) as host:
        sentry.lifetime_s = 1
        installation = installed(host, sentry)
        sentry.lifetime_s = 8 * 3600
        for name in ("b", "c"):
            host.write(f"{name}.lua", CALL)
        host.console("POST", "/api/reload", {})
        end = time.time() + 1
        eventually(lambda: time.time() > end, "the token is expired")
        sentry.expire()
        for n in range(20):
            host.deliver("issue", issue(installation, n))
        host.log(msg="answered", status=200, count=20)
        assert sentry.grants == ["authorization_code", "refresh_token"]
        assert_nothing_printed(host, sentry)


def short_lived(sentry):
    """Tokens that are to be renewed at once."""
    sentry.lifetime_s = 0


def test_a_lost_answer_is_recovered_by_the_jwt_grant(tmp_path, sentry):
    with host_of(tmp_path, sentry, "--validation", "off", script=CALL) as host:
        short_lived(sentry)
        installation, code = sentry.install()
        lost = []

        def lose(grant):
            if grant == "refresh_token":
                lost.append(grant)
                raise ConnectionAbortedError  # The answer never leaves.
            if lost:
                sentry.lifetime_s = 8 * 3600
        sentry.before_answer = lambda grant: None
        host.deliver("installation", sentry.event(installation, code))
        host.log(msg="code exchanged for a token")
        sentry.before_answer = lose

        def authorize(request, uuid_, real=sentry.authorize):
            answer = real(request, uuid_)
            if lost and request.json["grant_type"] == JWT_GRANT:
                sentry.lifetime_s = 8 * 3600
                return sentry.issue(uuid_)
            return answer
        sentry.authorize = authorize
        host.deliver("issue", issue(installation))
        assert host.log(msg="answered")["status"] == 200
        assert "refresh" in host.log(msg="token recovered by the JWT grant")["error"]
        assert sentry.grants.count("refresh_token") == 1
        assert_nothing_printed(host, sentry)


@pytest.mark.parametrize("when", ["while it is asked", "right after the answer"])
def test_kill_9_in_a_refresh(tmp_path, sentry, when):
    host = host_of(tmp_path, sentry, "--validation", "off", script=CALL)
    installation, code = sentry.install()
    held, asked = threading.Event(), threading.Event()
    sentry.before_answer = lambda grant: None
    short_lived(sentry)
    host.deliver("installation", sentry.event(installation, code))
    host.log(msg="code exchanged for a token")

    def hold(grant):
        if grant == "refresh_token":
            asked.set()
            if when == "while it is asked":
                held.wait(20)
    sentry.before_answer = hold
    host.deliver("issue", issue(installation))
    assert asked.wait(20)
    host.kill()
    held.set()
    sentry.lifetime_s = 8 * 3600
    with host.start():
        assert host.log(msg="answered")["status"] == 200
    # No refresh token was sent twice: the fixture looks.


# ---- the client --------------------------------------------------------------------

def test_errors_are_values(tmp_path, sentry):
    script = """
function on_issue(event)
  local api = sentry.api(event)
  log.info("answered", { a = api:put("/organizations/{org}/issues/1/", { assignedTo = "x" }).detail,
    b = api:delete("/nothing/").detail, c = tostring(pcall(api.get, api, "nothing")) })
end"""
    with host_of(tmp_path, sentry, "--validation", "off", script=script) as host:
        installation = installed(host, sentry)
        sentry.api = lambda r: ((400, {"assignedTo": ["Unknown actor input"]}) if r.method == "PUT"
                                else (404, {"detail": "The requested resource does not exist"}))
        host.deliver("issue", issue(installation))
        line = host.log(msg="answered")
        assert line["a"] == "assignedTo: Unknown actor input"
        assert line["b"] == "The requested resource does not exist"
        assert line["c"] == "false"


def test_pages_go_by_the_cursor_alone(tmp_path, sentry):
    script = """
function on_issue(event)
  local n = 0
  for row in sentry.api(event):pages("/organizations/{org}/issues/", { query = { query = "is:unresolved" } }) do n = n + row.n end
  log.info("summed", { n = n })
end"""
    with host_of(tmp_path, sentry, "--validation", "off", script=script) as host:
        installation = installed(host, sentry)
        seen = []

        def page(request):
            seen.append(request.path)
            last = "cursor=0%3A100%3A0" in request.path
            link = ('<https://evil.example/>; rel="previous"; results="false"; cursor="0:0:1", '
                    f'<https://evil.example/?cursor=0:100:0>; rel="next"; results="{"false" if last else "true"}"; cursor="0:100:0"')
            return 200, [{"n": 10}, {"n": 20}] if last else [{"n": 1}, {"n": 2}], {"Link": link}
        sentry.api = page
        host.deliver("issue", issue(installation))
        assert host.log(msg="summed")["n"] == 33
        assert len(seen) == 2 and all("query=is%3Aunresolved" in path for path in seen)


def test_a_rate_limit_is_waited_for_without_blocking_others(tmp_path, sentry):
    script = """
function on_issue(event)
  local res = sentry.api(event):get("/limited/")
  log.info("answered", { status = res.status })
end
function on_comment() log.info("meanwhile") end"""
    with host_of(tmp_path, sentry, "--validation", "off", script=script) as host:
        installation = installed(host, sentry)
        open_again, times = threading.Event(), []

        def limited(request):
            times.append(time.time())
            if open_again.is_set():
                return 200, {}
            return 429, {"detail": "You are attempting to use this endpoint too frequently."}, {
                "Retry-After": "1", "X-Sentry-Rate-Limit-Remaining": "0", "X-Sentry-Rate-Limit-Reset": str(int(time.time()) + 1)}
        sentry.api = limited
        host.deliver("issue", issue(installation))
        eventually(lambda: times, "it was asked")
        host.deliver("comment", issue(installation, 9))
        host.log(msg="meanwhile")
        assert host.logged(msg="answered") == []
        open_again.set()
        assert host.log(msg="answered")["status"] == 200


def test_past_the_deadline_the_job_runs_again_then(tmp_path, sentry):
    with host_of(tmp_path, sentry, "--validation", "off", "--handler-timeout", "5s", script=CALL) as host:
        installation = installed(host, sentry)
        sentry.api = lambda request: (429, {}, {"Retry-After": "600"})
        host.deliver("issue", issue(installation))
        line = host.log(msg="retry asked for")
        assert 590_000 < line["retry_in_ms"] <= 600_000 and "rate limit" in line["error"]


def test_an_external_issue_is_what_sentry_documents(tmp_path, sentry):
    script = """
function on_issue(event)
  local res = sentry.external_issue(event, { issueId = "1", webUrl = "https://somerandom.io/project/issue-id",
    project = "ExternalProj", identifier = "issue-1" })
  log.info("linked", { name = res:json().displayName })
end"""
    with host_of(tmp_path, sentry, "--validation", "off", script=script) as host:
        installation = installed(host, sentry)
        sentry.api = lambda request: (200, {"id": "1", "issueId": "1", "serviceType": "testing",
                                            "displayName": "ExternalProj#issue-1", "webUrl": "https://somerandom.io/project/issue-id"})
        host.deliver("issue", issue(installation))
        assert host.log(msg="linked")["name"] == "ExternalProj#issue-1"
        last = sentry.requests[-1]
        assert last.path == f"/api/0/sentry-app-installations/{installation}/external-issues/"
        assert last.json == {"issueId": 1, "webUrl": "https://somerandom.io/project/issue-id",
                             "project": "ExternalProj", "identifier": "issue-1"}


def test_an_internal_integration_has_a_fixed_token(tmp_path, sentry):
    script = """
function on_issue(event)
  local a = sentry.api(event):get("/organizations/acme/issues/1/")
  local b = sentry.api():get("/organizations/acme/projects/")
  log.info("answered", { a = a.status, b = b.status, http = select(3, http.get(secret "SENTRY_HOME")) })
end"""
    token = "fixed-token-canary-1"
    with host_of(tmp_path, sentry, "--validation", "off", script=script,
                 env={"SENTRY_TOKEN": token, "SENTRY_HOME": sentry.url}) as host:
        sentry.tokens[token] = "any"
        sentry.made.append(token)
        host.deliver("issue", issue(str(uuid.uuid4())))
        line = host.log(msg="answered")
        # What the client may reach is not open to http.
        assert (line["a"], line["b"], line["http"]) == (200, 200, "blocked")
        assert sentry.grants == []
        done(host)
        assert_nothing_printed(host, sentry)


def test_tokens_are_sealed_in_the_data_folder(tmp_path, sentry):
    with host_of(tmp_path, sentry) as host:
        installed(host, sentry)
    data = os.path.join(str(tmp_path), "data")
    assert os.stat(os.path.join(data, "key")).st_mode & 0o777 == 0o600
    for folder, _, files in os.walk(data):
        for name in files:
            with open(os.path.join(folder, name), "rb") as f:
                content = f.read()
            assert not any(made.encode() in content for made in sentry.made), name
