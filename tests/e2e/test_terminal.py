"""serve in the foreground of a terminal: what Ctrl-C does, and what becomes of it when the terminal goes."""

import os
import pty
import re
import select
import signal

import pytest
from host import MOONPOST, SECRET, eventually

HANDLER = "function on_event() end\n"


class Terminal:
    """A program on a terminal of its own, as its session's leader."""

    def __init__(self, argv, cwd, before=lambda: None):
        self.text = ""
        self.status = None
        try:
            self.pid, self.fd = pty.fork()
        except OSError as e:
            pytest.skip(f"no terminal to be had: {e}")
        if self.pid == 0:
            os.chdir(cwd)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # The suite itself may run under nohup.
            before()
            env = {k: v for k, v in os.environ.items() if not k.startswith(("MOONPOST_", "SENTRY_"))}
            os.execve(argv[0], argv, dict(env, SENTRY_CLIENT_SECRET=SECRET))

    def wait_for(self, pattern):
        def check():
            if select.select([self.fd], [], [], 0)[0]:
                try:
                    self.text += os.read(self.fd, 65536).decode("utf-8", "replace")
                except OSError:
                    pass
            return re.search(pattern, self.text)
        try:
            return eventually(check, pattern)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.text}") from None

    def press(self, keys):
        os.write(self.fd, keys)

    def close(self):
        """As when the window is closed."""
        os.close(self.fd)
        self.fd = -1

    def ended(self):
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid == self.pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if not self.ended():
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        if self.fd != -1:
            os.close(self.fd)


@pytest.fixture
def serve(tmp_path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "a.lua").write_text(HANDLER)

    def start(**kw):
        return Terminal([MOONPOST, "serve", "--listen", "127.0.0.1:0"], tmp_path, **kw)

    return start


def test_ctrl_c_stops_with_status_0(serve):
    with serve() as t:
        t.wait_for("listening")
        t.press(b"\x03")
        t.wait_for("stopped")
        eventually(t.ended, "the end")
        assert t.status == 0


def test_a_terminal_that_is_closed_stops_it(serve):
    with serve() as t:
        t.wait_for("listening")
        t.close()
        eventually(t.ended, "the end")
        assert t.status == 0


def test_a_terminal_that_is_there_leaves_sighup_its_meaning(serve):
    with serve() as t:
        t.wait_for("listening")
        os.kill(t.pid, signal.SIGHUP)
        t.wait_for("reloading")
        os.kill(t.pid, signal.SIGHUP)
        t.wait_for("reloading(.|\n)*reloading")
        assert not t.ended()


def test_nohup_outlives_the_terminal(serve, tmp_path):
    log = tmp_path / "log"

    def nohup():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        fd = os.open(log, os.O_WRONLY | os.O_CREAT)
        os.dup2(fd, 2)

    def logged(pattern):
        return lambda: log.exists() and re.search(pattern, log.read_text())

    with serve(before=nohup) as t:
        eventually(logged("listening"), "listening")
        t.close()
        eventually(logged("reloading"), "the terminal's SIGHUP")
        os.kill(t.pid, signal.SIGHUP)
        eventually(logged("reloading(.|\n)*reloading"), "a second look")
        assert not t.ended()
        os.kill(t.pid, signal.SIGTERM)
        eventually(t.ended, "the end")
        assert t.status == 0
