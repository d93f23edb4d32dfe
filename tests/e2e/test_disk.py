"""The disk is full, refuses, or holds what was not written there: it is told, and
nothing is claimed that is not so."""

import glob
import os
import resource
import shutil
import sqlite3
import subprocess

from conftest import MOONPOST, clean_env
from host import SECRET, Host, eventually

COUNT = """
function on_event(event)
  if event.data.wait then sleep(1) end
  log.info("ran", { key = event.data.key })
end
"""


def event(key, **data):
    return {"action": "made", "installation": {"uuid": "24b397fc-a86e-43ef-9297-949e21b82480"},
            "actor": {"type": "user", "id": 1, "name": "Ada"}, "data": dict(data, key=key)}


def deliver(host, key, **data):
    return host.deliver("something_new", event(key, **data), key=key)


def start(tmp_path, script=COUNT):
    host = Host(tmp_path, "--retry-base", "20ms", wait=False)
    host.write("count.lua", script)
    return host


def fill_disk(host, full):
    """No file of the host may be written to from the second byte on; or all may."""
    most = resource.RLIM_INFINITY
    resource.prlimit(host.process.pid, resource.RLIMIT_FSIZE, (1 if full else most, most))


def serve(tmp_path, data, **env):
    """Start a host that is expected to give up."""
    scripts = tmp_path / "scripts"
    scripts.mkdir(exist_ok=True)
    return subprocess.run([MOONPOST, "serve", "--listen", "127.0.0.1:0", "--scripts", scripts, "--data", data],
                          env=clean_env(SENTRY_CLIENT_SECRET=SECRET, **env), cwd=tmp_path,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


def rows(host, sql, *values):
    db = sqlite3.connect(f"{host.data}/moonpost.db")
    try:
        return db.execute(sql, values).fetchall()
    finally:
        db.close()


def test_a_full_disk_refuses_at_the_door_and_recovers_by_itself(tmp_path):
    with start(tmp_path).start() as host:
        first = deliver(host, "before")
        assert first.status == 200
        slow = deliver(host, "during", wait=True)
        assert slow.status == 200

        fill_disk(host, True)
        for n in range(5):
            answer = deliver(host, f"refused-{n}")
            assert answer.status == 503, answer
            assert answer.json["error"] == "store_unavailable"
            assert int(answer.headers["Retry-After"]) > 0
        line = host.log(msg="delivery not stored")
        assert line["level"] == "error" and "moonpost.db" in line["error"] or ".seg" in line["error"]
        ready = host.request("GET", "/readyz")
        assert ready.status == 503 and ready.json["error"] == "store_unavailable"
        assert host.request("GET", "/healthz").status == 200
        # Its handler ends meanwhile; that cannot be written down yet.
        host.log(msg="ran", key="during")

        fill_disk(host, False)
        eventually(lambda: host.request("GET", "/readyz").status == 200, "ready again")
        again = deliver(host, "refused-0")
        assert again.status == 200 and again.json["status"] == "accepted"
        host.log(msg="job done", delivery=again.json["id"])
        host.log(msg="job done", delivery=slow.json["id"])
    assert sorted(rows(host, "SELECT idempotency_key FROM delivery")) == [("before",), ("during",), ("refused-0",)]
    assert rows(host, "SELECT count(*) FROM job WHERE state <> 3") == [(0,)]
    assert rows(host, "SELECT count(*) FROM run") == [(3,)], "each ran once"


def test_a_disk_that_is_full_at_the_start_is_told(tmp_path):
    def few():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1))

    scripts = tmp_path / "scripts"
    scripts.mkdir()
    r = subprocess.run([MOONPOST, "serve", "--listen", "127.0.0.1:0", "--scripts", scripts, "--data", tmp_path / "data"],
                       env=clean_env(SENTRY_CLIENT_SECRET=SECRET), stdin=subprocess.DEVNULL, capture_output=True,
                       text=True, timeout=60, preexec_fn=few)
    assert r.returncode == 3, r
    assert "data/" in r.stderr and "too large" in r.stderr


def test_a_data_folder_that_cannot_be_is_told(tmp_path):
    (tmp_path / "file").write_text("here is a file\n")
    for data in (tmp_path / "file", tmp_path / "file" / "data", "/proc/moonpost"):
        r = serve(tmp_path, data)
        assert r.returncode == 3, r
        assert f"cannot make the folder {data}" in r.stderr
    assert (tmp_path / "file").read_text() == "here is a file\n"

    (tmp_path / "data" / "moonpost.db").mkdir(parents=True)
    r = serve(tmp_path, tmp_path / "data")
    assert r.returncode == 3 and "cannot open" in r.stderr and "moonpost.db" in r.stderr, r


def test_a_read_only_data_folder_is_told(tmp_path):
    with start(tmp_path).start() as host:
        assert deliver(host, "a").status == 200
    if os.geteuid() == 0:
        # Permissions are nothing to root: a file that is in the way is.
        os.unlink(f"{host.data}/lock")
        os.mkdir(f"{host.data}/lock")
    else:
        os.chmod(host.data, 0o500)
    try:
        r = serve(tmp_path, host.data)
    finally:
        os.chmod(host.data, 0o700)
    assert r.returncode == 3 and "cannot open" in r.stderr and "/lock" in r.stderr, r


def test_a_damaged_database_is_refused_with_advice(tmp_path):
    with start(tmp_path).start() as host:
        for n in range(20):
            assert deliver(host, f"a{n}").status == 200
    good = open(f"{host.data}/moonpost.db", "rb").read()
    pages = len(good) // 4096
    damages = {
        "garbage": os.urandom(len(good)),
        "a text": b"hello\n" * 1000,
        "zeroes": bytes(len(good)),
        "first page": os.urandom(4096) + good[4096:],
        "cut off": good[:4096 * (pages // 2) + 100],
    }
    for name, content in damages.items():
        with open(f"{host.data}/moonpost.db", "wb") as f:
            f.write(content)
        bodies = sorted(glob.glob(f"{host.data}/bodies/*"))
        r = serve(tmp_path, host.data)
        assert r.returncode == 3, (name, r)
        assert "is damaged" in r.stderr and "put back a copy" in r.stderr, (name, r.stderr)
        assert open(f"{host.data}/moonpost.db", "rb").read() == content, f"{name}: left as it was"
        assert bodies and sorted(glob.glob(f"{host.data}/bodies/*")) == bodies, name

    with open(f"{host.data}/moonpost.db", "wb") as f:
        f.write(good)
    with Host(tmp_path, "--retry-base", "20ms") as host:
        assert deliver(host, "a0").json["status"] == "duplicate"


def test_bodies_without_their_database_are_not_thrown_away(tmp_path):
    with start(tmp_path).start() as host:
        assert deliver(host, "a").status == 200
    for content in (None, b""):
        if content is None:
            shutil.move(f"{host.data}/moonpost.db", tmp_path / "kept.db")
        else:
            open(f"{host.data}/moonpost.db", "wb").close()
        r = serve(tmp_path, host.data)
        assert r.returncode == 3 and "bodies" in r.stderr and "put back a copy" in r.stderr, r
        assert os.path.getsize(f"{host.data}/bodies/00000001.seg") > 0
    shutil.copy(tmp_path / "kept.db", f"{host.data}/moonpost.db")
    with Host(tmp_path) as host:
        assert deliver(host, "a").json["status"] == "duplicate"


def test_a_damaged_body_fails_its_own_job_alone(tmp_path):
    host = start(tmp_path, "function on_event(event) event:retry { after = 3600, reason = 'later' } end")
    with host.start():
        for key in ("one", "two", "three"):
            answer = deliver(host, key, text=f"the body of {key}")
            assert answer.status == 200
        eventually(lambda: rows(host, "SELECT count(*) FROM job WHERE state = 2") == [(3,)], "all are retried later")
    path = f"{host.data}/bodies/00000001.seg"
    with open(path, "r+b") as f:
        at = f.read().index(b"the body of two")
        f.seek(at + 4)
        f.write(b"BODY")
    db = sqlite3.connect(f"{host.data}/moonpost.db")
    db.execute("UPDATE job SET due = 1")
    db.commit()
    db.close()

    host.write("count.lua", COUNT)
    with host.start():
        host.log(msg="ran", key="one")
        host.log(msg="ran", key="three")
        line = host.log(msg="job is dead", script="count")
        assert line["level"] == "error" and "00000001.seg" in line["error"], line
        assert "delivery 2 is damaged" in line["error"], line
        assert deliver(host, "four").status == 200
        host.log(msg="ran", key="four")
        assert not host.logged(msg="ran", key="two")
    assert rows(host, "SELECT state FROM job ORDER BY id") == [(3,), (5,), (3,), (3,)]
    error, = rows(host, "SELECT error FROM run JOIN delivery ON job >> 10 = delivery.id WHERE idempotency_key = 'two'"
                        " ORDER BY n DESC LIMIT 1")[0]
    assert "damaged" in error and "00000001.seg" in error


def test_a_second_host_on_the_same_folder_is_refused(tmp_path):
    with start(tmp_path).start() as host:
        r = serve(tmp_path, host.data)
        assert r.returncode == 3, r
        assert f"process {host.process.pid}" in r.stderr and "in use by another moonpost" in r.stderr
        assert deliver(host, "a").status == 200, "the first is unharmed"
        host.log(msg="ran", key="a")
        pid = host.process.pid
        host.kill()
        # What was killed holds nothing.
        host.start()
        assert host.process.pid != pid
        assert deliver(host, "a").json["status"] == "duplicate"
