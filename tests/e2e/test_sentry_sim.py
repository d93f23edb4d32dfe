"""Installations and tokens against moonpost sim, which spends codes and refresh tokens as Sentry does."""

import json
import threading
import time
import urllib.parse

import pytest

from host import Host, eventually
from sim import CLIENT_ID, CLIENT_SECRET, Sim

CALL = """
function on_issue(event)
  local res, message = sentry.api(event):get("/organizations/{org}/issues/" .. event.data.issue.id .. "/")
  if not res then error(message) end
  if not res.ok then error(res.status .. " " .. tostring(res.detail)) end
  log.info("answered", { status = res.status })
end
function on_installation(event)
  local i, message = sentry.install(event)
  log.info("handled", { action = event.action, org = i and i.organization.slug, message = message })
end
"""


@pytest.fixture
def sim(request):
    with Sim(scale=getattr(request, "param", None)) as s:
        yield s


def host_of(folder, sim, *options):
    host = Host(folder, *options, secret=CLIENT_SECRET, wait=False, env={"SENTRY_CLIENT_ID": CLIENT_ID, "SENTRY_URL": sim.url})
    host.write("a.lua", CALL)
    return host.start()


def webhook(host):
    return f"http://127.0.0.1:{host.port}/webhook"


def install(host, sim):
    made = sim.control("install", url=webhook(host), setup=f"http://127.0.0.1:{host.port}/setup")
    host.log(msg="handled", action="created")
    return made


def emit(host, sim, count=1):
    for n in range(count):
        sent = sim.control("emit", event="issue.created", url=webhook(host), set={"data.issue.id": str(1000 + n)})
        assert sent["status"] == 200, sent


def asked(sim):
    """How often a token was asked for."""
    return len([call for call in sim.calls() if "/authorizations/" in json.dumps(call.get("path") or call.get("url") or "")])


def is_done(host):
    return all(d["state"] == "done" for d in host.api("deliveries", limit=100)["deliveries"])


@pytest.mark.parametrize("order", ["webhook", "redirect", "both"])
def test_an_installation_is_exchanged_once(tmp_path, sim, order):
    with host_of(tmp_path, sim) as host:
        address = f"http://127.0.0.1:{host.port}/setup"
        if order == "webhook":
            made = install(host, sim)
        else:
            made = sim.control("install", setup=address, **({"url": webhook(host)} if order == "both" else {}))
            target = urllib.parse.urlsplit(made["redirect"])
            answers = []
            threads = [threading.Thread(target=lambda: answers.append(host.request("GET", f"{target.path}?{target.query}"))) for _ in range(3)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            assert [a.status for a in answers] == [302] * 3
            assert all(a.headers["Location"].startswith(sim.url + "/settings/") for a in answers)
        host.log(msg="installation verified")
        assert asked(sim) == 1
        emit(host, sim)
        assert host.log(msg="answered")["status"] == 200
        assert asked(sim) == 1
        assert made["code"] not in json.dumps(host.lines)


# Tokens live for 4 s.
@pytest.mark.parametrize("sim", [7200], indirect=True)
def test_50_with_one_expired_token_cause_one_refresh(tmp_path, sim):
    with host_of(tmp_path, sim, "--workers", "2", "--concurrency", "50") as host:
        host.write("b.lua", CALL)
        host.log(msg="script loaded", script="b")
        install(host, sim)
        emit(host, sim)
        host.log(msg="answered", count=2)
        before, end = asked(sim), time.monotonic() + 4
        eventually(lambda: time.monotonic() > end, "the token is expired")
        emit(host, sim, 25)
        host.log(msg="answered", status=200, count=52)
        assert asked(sim) == before + 1
        assert host.logged(msg="handler failed") == []


@pytest.mark.parametrize("sim", [28800], indirect=True)
def test_a_lost_answer_is_recovered(tmp_path, sim):
    with host_of(tmp_path, sim) as host:
        install(host, sim)
        # Every token has ended when it is asked for: the next refresh, then its answer is lost.
        end = time.monotonic() + 1.1
        eventually(lambda: time.monotonic() > end, "the token is expired")
        sim.control("drop", path="/authorizations/")
        emit(host, sim)
        assert host.log(msg="answered")["status"] == 200
        assert "refresh" in host.log(msg="token recovered by the JWT grant")["error"]


@pytest.mark.parametrize("sim", [28800], indirect=True)
def test_kill_9_whenever(tmp_path, sim):
    """Killed again and again, at every moment of a refresh, an installation stays usable."""
    host = host_of(tmp_path, sim)
    try:
        install(host, sim)
        for pause in (0, 0.001, 0.002, 0.004, 0.006, 0.01, 0.02):
            end = time.monotonic() + 1.1
            eventually(lambda: time.monotonic() > end, "the token is expired")
            before = asked(sim)
            emit(host, sim)
            if pause:
                eventually(lambda: asked(sim) > before, "it is being renewed", pause=0.0005)
                time.sleep(pause)
            host.kill()
            host.start()
            eventually(lambda: is_done(host), "all of it has ended well")
        assert host.logged(msg="handler failed") == []
    finally:
        assert host.stop() == 0


def test_uninstalling_forgets(tmp_path, sim):
    with host_of(tmp_path, sim) as host:
        made = install(host, sim)
        sim.control("emit", event="installation.deleted", url=webhook(host))
        host.log(msg="tokens forgotten: uninstalled", installation=made["installation"])


def test_a_rate_limit_of_sim_is_obeyed(tmp_path, sim):
    with host_of(tmp_path, sim) as host:
        install(host, sim)
        sim.control("fail", count=2, status=429, path="/issues/", after=1)
        emit(host, sim)
        assert host.log(msg="answered")["status"] == 200
        assert host.logged(msg="handler failed") == []
