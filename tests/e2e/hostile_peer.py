"""A peer that does to handlers what peers do at their worst: hangs, floods, unpacks, redirects."""

import asyncio
import gzip
import threading

BIG = b"x" * 4_000_000
ZIP = gzip.compress(b"\0" * 64_000_000)
HUGE = 200_000_000


class HostilePeer:
    def __init__(self):
        self.open = 0  # Connections just now.
        self.accepted = 0
        self.hanging = 0
        self.paths = []
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._started.wait()

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=2048))
        self.url = "http://127.0.0.1:%d" % self._server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()

    async def _serve(self, reader, writer):
        self.open += 1
        self.accepted += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split(b" ", 2)[1].decode()
                length = 0
                for line in head.split(b"\r\n"):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                while length > 0:
                    got = await reader.read(min(length, 1 << 16))
                    if not got:
                        return
                    length -= len(got)
                self.paths.append(path)
                await self._answer(path, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def _answer(self, path, reader, writer):
        kind, _, rest = path.partition("?")
        status, headers, body = "200 OK", [], b"{}"
        if kind == "/hang":
            self.hanging += 1
            try:
                await reader.read(1)
            finally:
                self.hanging -= 1
            raise ConnectionError
        if kind == "/big":
            body = BIG
        elif kind == "/zip":
            headers, body = ["Content-Encoding: gzip"], ZIP
        elif kind == "/headers":
            headers = ["X-Header-%d: %s" % (i, "x" * 1000) for i in range(20000)]
        elif kind == "/to":
            status, headers = "302 Found", ["Location: " + rest]
        elif kind == "/circle":
            status, headers = "302 Found", ["Location: /circle"]
        elif kind == "/huge":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % HUGE)
            for _ in range(HUGE // len(BIG)):
                writer.write(BIG)
                await writer.drain()
            return
        lines = ["HTTP/1.1 " + status, *headers, "Content-Length: %d" % len(body), "", ""]
        writer.write("\r\n".join(lines).encode() + body)
        await writer.drain()

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
