"""What every end-to-end test may ask for: the program, run in a folder of the test's own."""

import os
import signal
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MOONPOST = os.path.abspath(os.environ.get("MOONPOST_BIN") or os.path.join(ROOT, "build", "moonpost"))

# A shell starts what is in its background with SIGINT ignored, and the programs of the tests would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A command that hangs fails its test; none is that slow, also under a sanitizer.
TIMEOUT_S = 60

# Of the caller's environment, only what a program needs to run at all.
KEEP = ("PATH", "HOME", "TMPDIR", "LANG", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS")


def clean_env(**more):
    env = {k: os.environ[k] for k in KEEP if k in os.environ}
    env.update(more)
    return env


class Result:
    def __init__(self, status, out, err):
        self.status = status
        self.out = out
        self.err = err

    def __repr__(self):
        return f"<status {self.status}\nout: {self.out[:2000]}\nerr: {self.err[:2000]}>"


@pytest.fixture
def moonpost(tmp_path):
    """moonpost("send", "--list", env={...}, stdin=b"...") runs it to its end in tmp_path."""

    def run(*args, env=None, stdin=b"", cwd=None, timeout=TIMEOUT_S):
        r = subprocess.run([MOONPOST, *map(str, args)], input=stdin, capture_output=True,
                           cwd=cwd or tmp_path, env=clean_env(**(env or {})), timeout=timeout)
        return Result(r.returncode, r.stdout.decode("utf-8", "surrogateescape"),
                      r.stderr.decode("utf-8", "surrogateescape"))

    return run


# The helpers beside this file (host.py, peer.py) are imported by their names.
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
