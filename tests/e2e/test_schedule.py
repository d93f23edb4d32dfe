"""Schedules: due times run once, whatever happens to the host."""

import time

from host import Host, eventually

TICK = """
schedule.every("1s", "tick", function(event)
  log.info("begun", { due = event.data.due_at, missed = event.data.missed, attempt = event.attempt })
  sleep(0.3)
  log.info("ran", { due = event.data.due_at, missed = event.data.missed })
end)
"""


def ran(host):
    """The due times that ran to their end, in order."""
    return [line["due"] for line in host.logged(msg="ran")]


def test_runs_by_the_clock_and_is_shown(tmp_path):
    with Host(tmp_path, "--dev") as host:
        host.write("clock.lua", TICK)
        host.log(msg="ran")
        first = host.api("deliveries", resource="schedule")["deliveries"][-1]
        assert first["action"] == "tick" and first["channel"] == "schedule"
        assert [job["handler"] for job in first["jobs"]] == ["schedule:tick"]
        whole = host.api(f"deliveries/{first['id']}")
        assert whole["payload"]["data"] == {"name": "tick", "due_at": ran(host)[0], "missed": 0}
        script = host.api("scripts")["scripts"][0]
        assert script["schedules"][0]["name"] == "tick"
        assert script["schedules"][0]["rule"] == "every 1"
        assert script["schedules"][0]["next_at"].endswith("Z")


def test_the_command_lists_what_is_due(tmp_path, moonpost):
    with Host(tmp_path, "--dev") as host:
        host.write("clock.lua", 'schedule.every("1h", "hourly", print)\n'
                                'schedule.cron("0 9 * * mon-fri", "digest", print, { tz = "Europe/Vienna" })\n')
        eventually(lambda: all(s["next_at"] for s in (host.api("scripts")["scripts"] or [{}])[0].get("schedules", [{
            "next_at": None}])), "the store to know")
        r = moonpost("scripts", "--data", host.data)
        assert r.status == 0, r
        lines = [line.split() for line in r.out.splitlines()]
        assert ["SCHEDULE", "SCRIPT", "RULE", "NEXT"] in lines
        assert any(line[:4] == ["hourly", "clock", "every", "3600"] for line in lines), r
        assert any(line[:9] == ["digest", "clock", "cron", "0", "9", "*", "*", "mon-fri", "Europe/Vienna"]
                   for line in lines), r


def test_a_kill_between_due_and_run_loses_and_doubles_nothing(tmp_path):
    with Host(tmp_path, "--dev") as host:
        host.write("clock.lua", TICK)
        for _ in range(3):
            before = len(host.logged(msg="begun"))
            eventually(lambda: len(host.logged(msg="begun")) > before, "a run to begin")
            host.kill()
            time.sleep(1.2)
            host.start()
        seen = len(ran(host))
        eventually(lambda: len(ran(host)) > seen + 1, "runs after the last start")
        # What ran to its end did so once.
        times = ran(host)
        assert len(times) == len(set(times)), times
        # What was stored is one delivery a due time, and each has run.
        deliveries = host.api("deliveries", resource="schedule", limit=500)["deliveries"]
        due = [host.api(f"deliveries/{d['id']}")["payload"]["data"]["due_at"] for d in deliveries]
        assert len(due) == len(set(due)), due
        assert set(times) <= set(due)
        # The interrupted ones ran again, as attempt 1: they were not charged.
        assert {line["attempt"] for line in host.logged(msg="begun")} == {1}
        assert any(line["missed"] > 0 for line in host.logged(msg="ran")), "what was missed is told"


def test_a_bad_one_is_told_with_its_place(tmp_path):
    with Host(tmp_path, "--dev") as host:
        host.write("clock.lua", '\nschedule.cron("0 9 * * *", "x", print, { tz = "Europe/Viena" })\n')
        line = host.log(msg="script failed to load")
        assert "clock.lua:2: there is no time zone 'Europe/Viena', did you mean 'Europe/Vienna'?" in line["error"]
        host.write("clock.lua", '\n\nschedule.cron("0 25 * * *", "x", print)\n')
        eventually(lambda: any("clock.lua:3: schedule.cron \"0 25 * * *\": column 3: 25 is no hour" in l["error"]
                               for l in host.logged(msg="script failed to load")), "the other error")
