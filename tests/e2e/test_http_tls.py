"""http over TLS and HTTP/2: who is trusted, and what is not.  The system's roots are replaced in a mount of the test's own."""

import datetime
import os
import re
import socket
import ssl
import subprocess

import pytest

from host import Host, eventually
from peer import Peer
from test_handlers import envelope

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


def openssl(*args, cwd):
    subprocess.run(["openssl", *args], check=True, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE)


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self, folder):
        self.folder = str(folder)
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
                "-subj", "/CN=Test authority", cwd=self.folder)

    def issue(self, name, alt, days=2):
        """Certificate and key for a server; days < 0: it is over."""
        with open(os.path.join(self.folder, name + ".ext"), "w") as f:
            f.write("subjectAltName=" + alt + "\n")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", name + ".key", "-out", name + ".csr", "-subj", "/CN=" + name,
                cwd=self.folder)
        if days > 0:
            openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", str(days),
                    "-out", name + ".pem", "-extfile", name + ".ext", cwd=self.folder)
        else:
            begin, end = (datetime.datetime.utcnow() + datetime.timedelta(days=n) for n in (days - 1, days))
            with open(os.path.join(self.folder, "ca.cnf"), "w") as f:
                f.write("[ca]\ndefault_ca=c\n[c]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\n"
                        "policy=p\n[p]\ncommonName=supplied\n")
            open(os.path.join(self.folder, "index.txt"), "w").close()
            openssl("ca", "-batch", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key", "-rand_serial",
                    "-startdate", begin.strftime("%Y%m%d%H%M%SZ"), "-enddate", end.strftime("%Y%m%d%H%M%SZ"),
                    "-in", name + ".csr", "-out", name + ".pem", "-extfile", name + ".ext", "-notext", cwd=self.folder)
        return os.path.join(self.folder, name + ".pem"), os.path.join(self.folder, name + ".key")

    def context(self, *args, **options):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(*args, **options))
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def with_roots(path):
    """A command that runs another one where ${path} is the system's roots."""
    flags = "-m" if os.geteuid() == 0 else "-rm"
    prefix = ["unshare", flags, "sh", "-c", 'mount --bind "$0" ' + BUNDLE + ' && exec "$@"', path]
    if subprocess.run([*prefix, "true"], stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("no mounts of one's own here")
    return prefix


def get(tmp_path, urls, prefix=()):
    """What a handler gets from each: the status, or the code of the trouble."""
    host = Host(tmp_path, "--allow-host", "127.0.0.1", "--allow-host", "localhost", prefix=prefix, wait=False)
    host.write("a.lua", """
function on_event(event)
  for i, url in ipairs(event.data.urls) do
    local res, message, code = http.get(url)
    log.info("result", { i = i, result = res and res.status or code, message = message })
  end
end
""")
    with host.start():
        assert host.deliver("thing", envelope(urls=urls)).status == 200
        return [host.log(msg="result", i=i + 1)["result"] for i in range(len(urls))]


def test_the_systems_roots_are_trusted_and_no_other(tmp_path, authority):
    tls = authority.context("good", "IP:127.0.0.1,DNS:localhost")
    with Peer(tls=tls) as peer:
        urls = [peer.url + "/", f"https://localhost:{peer.port}/"]
        assert get(tmp_path, urls, with_roots(os.path.join(authority.folder, "ca.pem"))) == [200, 200]
        assert get(tmp_path, urls) == ["tls", "tls"]
        assert len(peer.requests) == 2


def test_name_and_time_of_a_certificate_count(tmp_path, authority):
    with Peer(tls=authority.context("elsewhere", "DNS:elsewhere.example")) as other, \
            Peer(tls=authority.context("over", "IP:127.0.0.1", days=-5)) as over:
        roots = with_roots(os.path.join(authority.folder, "ca.pem"))
        assert get(tmp_path, [other.url + "/", over.url + "/"], roots) == ["tls", "tls"]
        assert not other.requests and not over.requests


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_tls_is_refused(tmp_path, authority):
    tls = authority.context("old", "IP:127.0.0.1")
    tls.minimum_version = tls.maximum_version = ssl.TLSVersion.TLSv1_1
    tls.set_ciphers("ALL:@SECLEVEL=0")
    with Peer(tls=tls) as peer:
        assert get(tmp_path, [peer.url + "/"], with_roots(os.path.join(authority.folder, "ca.pem"))) == ["tls"]


def test_http_2_carries_many_requests_on_one_connection(tmp_path, authority):
    pem, key = authority.issue("h2", "IP:127.0.0.1")
    files = tmp_path / "files"
    files.mkdir()
    (files / "page").write_text("by HTTP/2")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    server = subprocess.Popen(["nghttpd", "-v", "-a", "127.0.0.1", "-d", str(files), str(port), key, pem],
                              stdin=subprocess.DEVNULL, stdout=open(tmp_path / "log", "wb"), stderr=subprocess.STDOUT)
    try:
        def listens():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", port)) == 0
        eventually(listens, "nghttpd listens")
        host = Host(tmp_path, "--allow-host", "127.0.0.1", prefix=with_roots(os.path.join(authority.folder, "ca.pem")), wait=False)
        host.write("a.lua", """
function on_event(event)
  assert(http.get(event.data.url).body == "by HTTP/2")
  local list, right = {}, 0
  for i = 1, 50 do list[i] = { url = event.data.url } end
  for _, res in ipairs(http.all(list)) do if res.body == "by HTTP/2" then right = right + 1 end end
  log.info("result", { right = right })
end
""")
        with host.start():
            assert host.deliver("thing", envelope(url=f"https://127.0.0.1:{port}/page")).status == 200
            assert host.log(msg="result")["right"] == 50
    finally:
        server.terminate()
        server.wait()
    log = re.sub(r"\x1b\[[0-9;]*m", "", (tmp_path / "log").read_text(errors="replace"))
    requests = re.findall(r"\[id=(\d+)\].*recv \(stream_id=\d+\) :path: /page", log)
    # The probe that it listens is no request; all the rest share a connection or two.
    assert len(requests) == 51 and len(set(requests)) <= 2, (len(requests), set(requests))
