"""A short form of `make soak`: what has to hold, whatever the machine is doing."""

import os
import sys

from host import MOONPOST, ROOT

sys.path.insert(0, os.path.join(ROOT, "tests", "soak"))

import soak  # noqa: E402  (found by the line above)


def test_one_script_works_beside_three_that_do_not(tmp_path):
    r = soak.run(str(tmp_path), seconds=8, rate=150, program=MOONPOST)
    assert r["wrong"] == {}, r
    assert r["accepted"] == r["sent"] == 1200
    # What did not run is still there to be run.
    assert r["jobs"]["healthy"] == {"done": 1200}
    for name in ("fails", "sleeps", "loops"):
        states = r["jobs"][name]
        assert set(states) <= {"pending", "retrying", "done"}, r
        assert sum(states.values()) == 1200, r
    assert "done" not in r["jobs"]["fails"] and "done" not in r["jobs"]["loops"], r
