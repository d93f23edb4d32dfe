"""Scripts that misbehave cost themselves, and nobody else."""

import os
import signal

from host import Host, eventually
from test_handlers import envelope

HEALTHY = 'function on_event(event) log.info("healthy", { n = event.data.n }) end\n'

HOSTILE = {
    "loop": "function on_event() while true do end end",
    "loop_in_pcall": "function on_event() while true do pcall(function() while true do end end) end end",
    "bomb": 'function on_event() local t = {} while true do t[#t + 1] = ("x"):rep(1e6) end end',
    "move": "function on_event() table.move({}, 1, 1 << 60, 2) end",
    "throws": 'function on_event() error({ message = "thrown" }) end',
    "load_loop": "while true do end",
    "load_bomb": 'local t = {} while true do t[#t + 1] = ("x"):rep(1e6) end',
    "syntax": "function on_event( end",
}


def test_every_delivery_is_answered_and_every_job_of_another_script_done(tmp_path):
    host = Host(tmp_path, "--retry-attempts", "2", "--retry-base", "100ms", "--cpu-limit", "200ms", "--workers", "2",
                wait=False)
    for name, source in HOSTILE.items():
        host.write(name + ".lua", source)
    for k in range(3):
        host.write(f"healthy{k}.lua", HEALTHY)
    with host.start():
        for n in range(40):
            answer = host.deliver("thing", envelope(n=n))
            assert answer.status == 200, answer
        for n in range(40):
            host.log(count=3, msg="healthy", n=n)
        for name in ("loop", "loop_in_pcall", "bomb", "move", "throws"):
            host.log(msg="handler failed", script=name)
        for name in ("load_loop", "load_bomb", "syntax"):
            assert "error" in host.log(level="error", script=name)
        assert host.deliver("thing", envelope(n=1000)).status == 200
        host.log(count=3, msg="healthy", n=1000)


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(p) for p in f.read().split()]


def test_a_worker_that_dies_takes_no_job_with_it(tmp_path):
    host = Host(tmp_path, "--workers", "1", wait=False)
    host.write("a.lua", """
function on_event(event)
  log.info("begun", { n = event.data.n })
  if event.data.n == 1 then while event.attempt == 1 do sleep(0.01) end end
  log.info("ended", { n = event.data.n })
end
""")
    host.write("b.lua", HEALTHY)
    with host.start():
        assert host.deliver("thing", envelope(n=1)).status == 200
        host.log(msg="begun", n=1)
        host.log(msg="healthy", n=1)
        for pid in children(host.process.pid):
            os.kill(pid, signal.SIGKILL)
        assert host.deliver("thing", envelope(n=2)).status == 200
        host.log(msg="ended", n=2)
        host.log(msg="healthy", n=2)
        host.log(count=2, msg="begun", n=1)


def test_what_was_answered_survives_a_kill(tmp_path):
    host = Host(tmp_path, wait=False)
    host.write("a.lua", 'function on_event(event) sleep(20) log.info("late") end')
    host.start()
    ids = [host.deliver("thing", envelope(n=n)).json["id"] for n in range(20)]
    host.kill()
    host.write("a.lua", HEALTHY)
    with host.start():
        for n in range(20):
            host.log(msg="healthy", n=n)
        for id_ in ids:
            host.log(msg="job done", delivery=id_)
        assert len(host.logged(msg="healthy")) == 20


def test_nothing_of_the_host_is_left_behind(tmp_path):
    host = Host(tmp_path, wait=False)
    host.write("a.lua", HEALTHY)
    host.start()
    pids = children(host.process.pid)
    assert pids
    assert host.stop() == 0
    eventually(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), "the workers are gone")
    host.start()
    pids = children(host.process.pid)
    host.kill()
    eventually(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), "gone after a kill as well")


def test_workers_stand_behind_the_wall(tmp_path):
    with open(tmp_path / "inherited", "w") as inherited:
        os.set_inheritable(inherited.fileno(), True)
        host = Host(tmp_path, "--workers", "1", wait=False, env={"CANARY": "in-the-environment"})
        host.write("a.lua", HEALTHY)
        with host.start():
            assert host.deliver("thing", envelope(n=1)).status == 200
            host.log(msg="healthy", n=1)
            assert not host.logged(msg="the wall around scripts is not whole")
            pids = children(host.process.pid)
            assert pids
            for pid in pids:
                with open(f"/proc/{pid}/status") as f:
                    status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
                assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
                with open(f"/proc/{pid}/environ", "rb") as f:
                    assert b"CANARY" not in f.read()
                files = {int(fd): os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
                # Its socket, its loop, a pipe that it has to itself; else nothing but /dev/null.
                names = list(files.values())
                assert [fd for fd, name in files.items() if name.startswith("socket:")] == [3], files
                foreign = {name for name in names if name.startswith("pipe:") and names.count(name) != 2
                           or not name.startswith(("pipe:", "socket:", "anon_inode:"))}
                # A sanitizer's report must have a way out.
                assert foreign <= {"/dev/null"} or "ASAN_OPTIONS" in os.environ, files


def test_a_backlog_of_a_loop_keeps_nobody_waiting(tmp_path):
    host = Host(tmp_path, "--workers", "1", "--cpu-limit", "1s", wait=False)
    host.write("loop.lua", "function on_event() while true do end end")
    host.write("healthy.lua", HEALTHY)
    with host.start():
        for n in range(60):
            assert host.deliver("thing", envelope(n=n)).status == 200
        host.log(count=60, msg="healthy")
        # One slice of it showed what it is; the rest waits in the slow lane.
        assert len(host.logged(msg="handler failed", script="loop")) < 10
