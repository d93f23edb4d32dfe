"""Saving a file makes it live; nothing that goes wrong with a file loses a delivery."""

import os
import threading

from host import Host, eventually
from test_handlers import envelope

VERSION = 'function on_event(event) log.info("ran", { v = %d, n = event.data.n }) end\n'


def version_of(host, n):
    assert host.deliver("thing", envelope(n=n)).status == 200
    return host.log(msg="ran", n=n)["v"]


def becomes(host, want, first):
    """Deliver until version `want` answers."""
    n = first
    def check():
        nonlocal n
        n += 1
        return version_of(host, n) == want
    eventually(check, f"version {want} is live")
    return n


def test_saved_by_rename_and_in_place(tmp_path):
    host = Host(tmp_path, wait=False)
    host.write("a.lua", VERSION % 1)
    with host.start():
        assert version_of(host, 0) == 1
        host.write("a.lua", VERSION % 2)
        n = becomes(host, 2, 0)
        with open(os.path.join(host.scripts, "a.lua"), "w") as f:
            f.write(VERSION % 3)
        n = becomes(host, 3, n)
        os.rename(os.path.join(host.scripts, "a.lua"), os.path.join(host.scripts, "a.lua~"))
        host.write("a.lua", VERSION % 4)
        becomes(host, 4, n)


def test_a_broken_save_keeps_the_last_good_version(tmp_path):
    host = Host(tmp_path, wait=False)
    host.write("a.lua", VERSION % 1)
    with host.start():
        host.write("a.lua", "function on_event(event) this is no Lua end")
        line = host.log(level="error", script="a")
        assert "scripts/a.lua:1:" in line["error"], line
        assert version_of(host, 1) == 1
        assert len(host.logged(level="error", script="a")) == 1, "said once"
        host.write("a.lua", "error('at load')")
        eventually(lambda: [x for x in host.logged(level="error", script="a") if "at load" in x["error"]], "told")
        assert version_of(host, 2) == 1
        host.write("a.lua", VERSION % 5)
        becomes(host, 5, 10)


def test_the_last_good_version_is_served_after_a_restart(tmp_path):
    host = Host(tmp_path, wait=False)
    host.write("a.lua", 'local lib = require "lib1"\nfunction on_event(event) log.info("ran", { v = lib.v, n = event.data.n }) end')
    host.write("lib/lib1.lua", "return { v = 1 }")
    with host.start():
        assert version_of(host, 1) == 1
        host.write("a.lua", "not Lua")
        host.log(level="error", script="a")
    host.write("lib/lib1.lua", "also not Lua")
    with host.start():
        host.log(level="error", script="a")
        assert version_of(host, 2) == 1


def test_a_changed_library_reloads_who_requires_it(tmp_path):
    host = Host(tmp_path, wait=False)
    host.write("lib/shared.lua", "return { v = 1 }")
    host.write("a.lua", 'local lib = require "shared"\nfunction on_event(event) log.info("ran", { v = lib.v, n = event.data.n }) end')
    with host.start():
        assert version_of(host, 0) == 1
        host.write("lib/shared.lua", "return { v = 2 }")
        n = becomes(host, 2, 0)
        host.write("lib/shared.lua", "return {")
        host.log(level="error", script="a")
        assert version_of(host, 500) == 2
        host.write("lib/shared.lua", "return { v = 3 }")
        becomes(host, 3, 500 + n)


def test_a_new_file_is_served_and_a_deleted_one_is_not(tmp_path):
    host = Host(tmp_path, wait=False)
    host.write("a.lua", 'function on_event(event) log.info("a", { n = event.data.n }) end')
    with host.start():
        host.write("b.lua", 'function on_event(event) log.info("b", { n = event.data.n }) end')
        host.write("b_test.lua", 'function on_event(event) log.info("never") end')
        n = 0
        def served():
            nonlocal n
            n += 1
            assert host.deliver("thing", envelope(n=n)).status == 200
            host.log(msg="a", n=n)
            return host.logged(msg="b")
        eventually(served, "b is served")
        os.unlink(os.path.join(host.scripts, "b.lua"))
        def gone():
            nonlocal n
            n += 1
            answer = host.deliver("thing", envelope(n=n))
            assert answer.status == 200
            host.log(msg="job done", delivery=answer.json["id"], script="a")
            return not host.logged(msg="b", n=n) and host.logged(msg="script removed", script="b")
        eventually(gone, "b is gone")
        assert not host.logged(msg="never")


def test_a_thousand_deliveries_while_a_script_is_saved_a_hundred_times(tmp_path):
    host = Host(tmp_path, wait=False)
    host.write("a.lua", VERSION % 0)
    statuses = []
    done = threading.Event()

    def save():
        for v in range(1, 101):
            host.write("a.lua", VERSION % v)
            done.wait(0.01)

    def send(first):
        for n in range(first, 1000, 4):
            statuses.append(host.deliver("thing", envelope(n=n)).status)

    with host.start():
        threads = [threading.Thread(target=send, args=(k,)) for k in range(4)] + [threading.Thread(target=save)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert statuses == [200] * 1000
        host.log(count=1000, msg="job done")
        runs = sorted(line["n"] for line in host.logged(msg="ran"))
        assert runs == list(range(1000)), "each exactly once"
        becomes(host, 100, 5000)
