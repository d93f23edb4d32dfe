"""A proxy for moonpost to go through: HTTP (CONNECT, and whole URLs) and SOCKS 5 on one port.  It keeps what it was
asked for, and resolves every name to this machine."""

import base64
import socket
import threading
import urllib.parse


class Asked:
    """One request to it: method ("CONNECT", "GET", "SOCKS"), target ("host:port", or a URL), headers."""

    def __init__(self, method, target, headers):
        self.method = method
        self.target = target
        self.headers = headers

    def __repr__(self):
        return f"<{self.method} {self.target}>"


class Proxy:
    def __init__(self, user=None, password=None, refuse=None, tls=None):
        self.asked = []
        self.user = user
        self.password = password
        self.refuse = refuse  # The status that every CONNECT is answered by.
        self._tls = tls  # An ssl.SSLContext: the way to it is encrypted.
        self._open = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"
        self.socks = f"socks5h://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def targets(self, method=None):
        return [a.target for a in self.asked if method in (None, a.method)]

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for conn in self._open:
                try:
                    conn.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _keep(self, conn):
        with self._lock:
            self._open.add(conn)
        return conn

    def _close(self, conn):
        with self._lock:
            self._open.discard(conn)
        conn.close()

    def _accept(self):
        while True:
            try:
                conn, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(self._keep(conn),), daemon=True).start()

    def _serve(self, conn):
        if self._tls is not None:
            try:
                with self._lock:
                    self._open.discard(conn)
                conn = self._keep(self._tls.wrap_socket(conn, server_side=True))
            except OSError:
                return
        stream = conn.makefile("rb")
        try:
            if stream.peek(1)[:1] == b"\x05":
                self._serve_socks(conn, stream)
            else:
                while self._serve_http(conn, stream):
                    pass
        except (OSError, ValueError):
            pass
        finally:
            stream.close()
            self._close(conn)

    # ---- HTTP ------------------------------------------------------------
    def _serve_http(self, conn, stream):
        line = stream.readline().split()
        if len(line) != 3:
            return False
        method, target = line[0].decode(), line[1].decode()
        headers = {}
        while (raw := stream.readline().strip()):
            name, _, value = raw.decode().partition(":")
            headers[name.lower()] = value.strip()
        body = stream.read(int(headers.get("content-length", 0)))
        self.asked.append(Asked(method, target, headers))
        if self.user is not None:
            want = "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            if headers.get("proxy-authorization") != want:
                conn.sendall(b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"p\"\r\nContent-Length: 3\r\n\r\nno\n")
                return True
        if method == "CONNECT":
            if self.refuse:
                conn.sendall(f"HTTP/1.1 {self.refuse} No\r\nContent-Length: 0\r\n\r\n".encode())
                return False
            self._tunnel(conn, stream, int(target.rpartition(":")[2]), b"HTTP/1.1 200 Go\r\n\r\n")
            return False
        url = urllib.parse.urlsplit(target)
        with socket.create_connection(("127.0.0.1", url.port)) as to:
            path = url._replace(scheme="", netloc="").geturl() or "/"
            # RFC 9112, 3.2.2: the Host that it was sent does not count.
            passed = {n: v for n, v in headers.items() if not n.startswith("proxy-") and n not in ("host", "connection")}
            head = [f"{method} {path} HTTP/1.1", f"Host: {url.netloc}", "Connection: close", *(f"{n}: {v}" for n, v in passed.items())]
            to.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)
            while (data := to.recv(65536)):
                conn.sendall(data)
        return False

    # ---- SOCKS 5 ---------------------------------------------------------
    def _serve_socks(self, conn, stream):
        _, n = stream.read(2)
        stream.read(n)
        conn.sendall(b"\x05\x00")
        kind = stream.read(4)[3]
        if kind == 1:
            host = socket.inet_ntop(socket.AF_INET, stream.read(4))
        elif kind == 4:
            host = socket.inet_ntop(socket.AF_INET6, stream.read(16))
        else:
            host = stream.read(stream.read(1)[0]).decode()
        port = int.from_bytes(stream.read(2), "big")
        self.asked.append(Asked("SOCKS", f"{host}:{port}", {}))
        self._tunnel(conn, stream, port, b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")

    def _tunnel(self, conn, stream, port, answer):
        to = self._keep(socket.create_connection(("127.0.0.1", port)))
        conn.sendall(answer)

        def back():
            try:
                while (data := to.recv(65536)):
                    conn.sendall(data)
                conn.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        thread = threading.Thread(target=back, daemon=True)
        thread.start()
        try:
            while (data := stream.read1(65536)):
                to.sendall(data)
        finally:
            try:
                to.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            thread.join()
            self._close(to)
