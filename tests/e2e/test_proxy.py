"""--proxy: what goes through it, what is refused before it hears of it, and who gets to see its password."""

import json
import os
import socket

import pytest

from host import Host, eventually
from peer import Peer
from proxy import Proxy
from sim import CLIENT_ID, CLIENT_SECRET, Sim
from test_handlers import envelope
from test_http_tls import Authority, with_roots
from test_login import User

PASSWORD = "pa55/w@rd-of-the-proxy"
IN_URL = "proxy%20user:pa55%2Fw%40rd-of-the-proxy@"

# No proxy of the environment counts, for the host nor for a script, nor a way around the one there is.
NOT_THESE = {name: "http://127.0.0.1:1" for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY")}

GETS = """
function on_event(event)
  for i, url in ipairs(event.data.urls) do
    local res, message, code = http.get(url, { follow = 2, headers = event.data.headers or {} })
    log.info("result", { i = i, result = res and res.status or code, message = message, body = res and res.body })
  end
end
"""


def get(folder, urls, *options, env=None, prefix=(), headers=None):
    """What a handler gets from each URL: (status or code, message); and the host, which has stopped."""
    host = Host(folder, *options, env=env, prefix=prefix, wait=False)
    host.write("a.lua", GETS)
    with host.start():
        host.id = host.deliver("thing", envelope(urls=urls, headers=headers or {})).json["id"]
        lines = [host.log(msg="result", i=i + 1) for i in range(len(urls))]
        host.log(msg="job done")
        host.shown = eventually(lambda: [d for d in [host.api(f"deliveries/{host.id}")] if d["jobs"][0]["runs"]], "the run is kept")[0]
    host.results = [line["result"] for line in lines]
    host.messages = [line.get("message") for line in lines]
    return host


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def test_http_goes_through_it_as_a_whole_url(tmp_path):
    with Peer(lambda r: (200, "direct")) as peer, Proxy() as proxy:
        url = f"http://localhost:{peer.port}/a?b=c"
        host = get(tmp_path, [url, url], "--dev", "--proxy", proxy.url, env=dict(NOT_THESE, no_proxy="*", NO_PROXY="*"),
                   headers={"Host": "10.0.0.1", "Proxy-Authorization": "Basic x", "X-Mine": "yes"})
        assert host.results == [200, 200]
        assert [(a.method, a.target) for a in proxy.asked] == [("GET", url)] * 2
        # Where it goes is not for a header to say, nor who may use the proxy.
        for asked in proxy.asked:
            assert asked.headers["host"] == f"localhost:{peer.port}" and "proxy-authorization" not in asked.headers
        assert [(r.path, r.headers["X-Mine"]) for r in peer.requests] == [("/a?b=c", "yes")] * 2
        assert host.logged(msg="outbound requests go through a proxy")[0]["proxy"] == proxy.url


def test_no_proxy_of_the_environment_counts(tmp_path):
    with Peer() as peer, Proxy() as proxy:
        env = {name: proxy.url for name in NOT_THESE}
        assert get(tmp_path, [peer.url + "/"], "--dev", env=env).results == [200]
        assert not proxy.asked
        # The option of that name is one, as for all options.
        assert get(tmp_path, [peer.url + "/"], "--dev", env=dict(env, MOONPOST_PROXY=proxy.url)).results == [200]
        assert len(proxy.asked) == 1


@pytest.mark.parametrize("socks", [False, True], ids=["connect", "socks"])
def test_https_goes_to_the_address_that_was_checked(tmp_path, authority, socks):
    """The certificate of the name still counts.  What was opened by its name goes by its name."""
    roots = with_roots(os.path.join(authority.folder, "ca.pem"))
    with Peer(tls=authority.context("good" + str(socks), "DNS:localhost")) as peer, Proxy() as proxy:
        through = ["--proxy", proxy.socks if socks else proxy.url]
        named, numbered = f"https://localhost:{peer.port}/", f"https://127.0.0.1:{peer.port}/"
        assert get(tmp_path / "a", [named, numbered], "--dev", *through, prefix=roots).results == [200, "tls"]
        assert set(proxy.targets()) == {f"127.0.0.1:{peer.port}"}
        assert {a.method for a in proxy.asked} == {"SOCKS" if socks else "CONNECT"}
        proxy.asked.clear()
        assert get(tmp_path / "b", [named], "--allow-host", "localhost", *through, prefix=roots).results == [200]
        assert proxy.targets() == [f"localhost:{peer.port}"]


def test_the_way_to_it_can_be_encrypted(tmp_path, authority):
    roots = with_roots(os.path.join(authority.folder, "ca.pem"))
    with Peer(tls=authority.context("peer", "IP:127.0.0.1")) as safe, Peer() as plain, \
            Proxy("u", PASSWORD, tls=authority.context("proxy", "IP:127.0.0.1")) as proxy:
        through = ["--dev", "--proxy", proxy.url.replace("//", "//u:pa55%2Fw%40rd-of-the-proxy@")]
        urls = [safe.url + "/", plain.url + "/"]
        assert get(tmp_path / "a", urls, *through, prefix=roots).results == [200, 200]
        host = get(tmp_path / "b", urls, *through)
        assert host.results == ["tls", "tls"] and len(proxy.asked) == 2
        assert all(proxy.url in message and "--proxy" in message for message in host.messages), host.messages


def test_socks_gets_addresses_for_http_too(tmp_path):
    with Peer() as peer, Proxy() as proxy:
        url = f"http://localhost:{peer.port}/"
        host = get(tmp_path, [url], "--dev", "--proxy", proxy.socks.replace("socks5h", "socks5"), headers={"Host": "mine.example"})
        assert host.results == [200] and proxy.targets() == [f"127.0.0.1:{peer.port}"]
        assert peer.requests[0].headers["Host"] == "mine.example"


@pytest.mark.parametrize("socks", [False, True], ids=["http", "socks"])
def test_what_is_refused_never_gets_to_it(tmp_path, socks):
    with Peer() as peer, Proxy() as proxy:
        names = ["localhost", "127.0.0.1", "127.1", "0x7f.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]"]
        urls = [f"{scheme}://{name}:{peer.port}/" for scheme in ("http", "https") for name in names]
        urls += ["http://10.0.0.1/", "https://169.254.169.254/latest"]
        host = get(tmp_path, urls, "--proxy", proxy.socks if socks else proxy.url)
        assert host.results == ["blocked"] * len(urls), host.results
        assert all("--allow-host" in message for message in host.messages)
        host = get(tmp_path, ["http://nowhere.invalid/"], "--proxy", proxy.socks if socks else proxy.url)
        assert host.results == ["resolve"] and "--proxy" in host.messages[0]
        assert not proxy.asked and not peer.requests


def test_what_was_opened_is_open_and_no_more(tmp_path):
    with Peer() as peer, Proxy() as proxy:
        urls = [peer.url + "/", f"http://localhost:{peer.port}/", "http://10.0.0.1:1/"]
        through = ["--proxy", proxy.url]
        assert get(tmp_path, urls, "--dev", *through).results == [200, 200, "blocked"]
        assert get(tmp_path, urls, "--allow-host", f"127.0.0.1:{peer.port}", *through).results == [200, "blocked", "blocked"]
        assert get(tmp_path, urls[:2], "--allow-private", *through).results == [200, 200]
        assert len(proxy.asked) == 5


def test_each_redirect_is_checked(tmp_path):
    def answer(request):
        to = {"/in": "http://10.0.0.1/", "/secure": "https://192.168.0.1/", "/here": "/end"}
        return (302, "", {"Location": to[request.path]}) if request.path in to else (200, "")

    with Peer(answer) as peer, Proxy() as proxy:
        urls = [peer.url + path for path in ("/in", "/secure", "/here")]
        host = get(tmp_path, urls, "--dev", "--proxy", proxy.url)
        assert host.results == ["blocked", "blocked", 200] and "10.0.0.1" in host.messages[0]
        assert proxy.targets() == urls + [peer.url + "/end"]


def test_moonposts_own_listeners_stay_shut(tmp_path):
    with Proxy() as proxy:
        host = Host(tmp_path, "--allow-private", "--allow-host", "localhost", "--proxy", proxy.url, wait=False)
        host.write("a.lua", GETS)
        with host.start():
            ports = host.port, host.console_port
            urls = [f"{scheme}://{name}:{port}/healthz" for scheme in ("http", "https")
                    for name in ("127.0.0.1", "localhost", "[::1]") for port in ports]
            host.deliver("thing", envelope(urls=urls))
            assert {host.log(msg="result", i=i + 1)["result"] for i in range(len(urls))} == {"blocked"}
        assert not proxy.asked


def test_a_password_gets_to_the_proxy_and_nowhere_else(tmp_path):
    with Peer() as peer, Proxy("proxy user", PASSWORD) as proxy:
        urls = [peer.url + "/", f"https://127.0.0.1:{peer.port}/"]
        host = get(tmp_path, urls, "--dev", "--proxy", proxy.url.replace("//", "//" + IN_URL))
        assert host.results == [200, "tls"] and {a.method for a in proxy.asked} == {"GET", "CONNECT"}
        assert peer.requests[0].headers["Proxy-Authorization"] is None
        told = [host]

        # Not the right one, and none.
        for who in IN_URL.replace("w%40rd", "w0rd"), "":
            host = get(tmp_path, urls, "--dev", env={"MOONPOST_PROXY": proxy.url.replace("//", "//" + who)})
            assert host.results == ["connect", "connect"]
            for message in host.messages:
                assert proxy.url in message and "--proxy" in message and "407" in message
            told.append(host)
        assert len(peer.requests) == 1
        text = json.dumps([[h.lines, h.shown] for h in told])
        assert "of-the-proxy" not in text and "proxy user" not in text and "proxy%20user" not in text


def test_trouble_with_it_names_it(tmp_path):
    with socket.socket() as taken, Peer() as peer, Proxy(refuse=403) as strict:
        taken.bind(("127.0.0.1", 0))  # And nobody listens.
        dead = f"http://{IN_URL}127.0.0.1:{taken.getsockname()[1]}"
        urls = [peer.url + "/", f"https://127.0.0.1:{peer.port}/"]
        for url in dead, dead.replace("http:", "socks5h:"), "http://proxy.invalid:3128":
            host = get(tmp_path, urls, "--dev", "--proxy", url)
            assert host.results == ["connect", "connect"]
            for message in host.messages:
                assert message.startswith("cannot reach the proxy ") and "(--proxy)" in message
                assert url.rpartition("@")[2].rpartition("/")[2] in message
            assert "of-the-proxy" not in json.dumps([host.lines, host.shown])
        host = get(tmp_path, urls[1:], "--dev", "--proxy", strict.url)
        assert host.results == ["connect"] and "403" in host.messages[0] and "--proxy" in host.messages[0]


@pytest.mark.parametrize("text", ["proxy.internal:3128", "ftp://h:1", "http://h", "http://s3cret:s3cret@h", "http://s3cret@h:1/path",
                                  "http://s3cret:s3cret@:1", "http://s3cret:s3cret@h:99999", "socks4://h:1"])
def test_what_is_no_proxy_is_told_without_repeating_it(tmp_path, text):
    for command in ["serve", "--dev", "--listen", "127.0.0.1:0", "--console", "off"], ["login"]:
        with Sim() as sim:
            status, out, err = User(tmp_path, sim, SENTRY_CLIENT_SECRET="x").run(*command, "--proxy", text)
        assert status == 2, (status, err)
        assert "--proxy" in err and "http://HOST:PORT" in err and "s3cret" not in out + err


def test_the_hosts_own_requests_to_sentry_go_through_it(tmp_path):
    """Exchange of a code, verification, and the client of handlers; the address of Sentry is the user's choice."""
    with Sim() as sim, Proxy() as proxy:
        host = Host(tmp_path, "--proxy", proxy.url, secret=CLIENT_SECRET, wait=False,
                    env=dict(NOT_THESE, SENTRY_CLIENT_ID=CLIENT_ID, SENTRY_URL=sim.url))
        host.write("a.lua", """
function on_issue(event)
  local res = assert(sentry.api(event):get("/organizations/{org}/issues/" .. event.data.issue.id .. "/"))
  log.info("answered", { status = res.status })
end
""")
        with host.start():
            hook = f"http://127.0.0.1:{host.port}/webhook"
            sim.control("install", url=hook, setup=f"http://127.0.0.1:{host.port}/setup")
            eventually(lambda: [t for t in proxy.targets("PUT") if "/sentry-app-installations/" in t], "the install is verified")
            sim.control("emit", event="issue.created", url=hook, set={"data.issue.id": "1000"})
            host.log(msg="answered")
        seen = {(a.method, a.target) for a in proxy.asked}
        assert any(m == "POST" and t.endswith("/authorizations/") for m, t in seen), seen
        assert any(m == "GET" and t.startswith(sim.url) and t.endswith("/issues/1000/") for m, t in seen), seen


def test_a_persons_login_goes_through_it(tmp_path):
    with Sim(scale=5) as sim, Proxy("u", PASSWORD) as proxy:
        url = proxy.url.replace("//", "//u:pa55%2Fw%40rd-of-the-proxy@")
        user = User(tmp_path, sim, **dict(NOT_THESE, MOONPOST_PROXY=url))
        process, told = user.begin()
        sim.control("device", user_code=told["user_code"], action="approve")
        status, out, err = user.finish(process)
        assert status == 0, err
        assert {t.partition("/oauth/")[2] for t in proxy.targets("POST")} == {"device/code/", "token/"}
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            status, out, err = user.run("login", "--proxy", f"http://u:{PASSWORD[:4]}@127.0.0.1:{taken.getsockname()[1]}")
        assert status == 3 and "--proxy" in err and "pa55" not in err, (status, err)
