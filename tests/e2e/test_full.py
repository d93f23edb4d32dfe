"""A store that gets full: warnings in time, then 503, and back again by itself."""

from host import Host, eventually
from test_handlers import envelope, issue

PAD = "x" * 900000


def send(host, n):
    body = envelope(issue=issue(id=str(n)))
    body["data"]["pad"] = PAD
    return host.deliver("issue", body)


def test_warnings_then_503_and_back(tmp_path):
    host = Host(tmp_path, "--store-max-bytes", "16MiB", "--retry-base", "1h", "--retry-max", "1h", wait=False)
    host.write("a.lua", "function on_issue() error('keeps it') end")
    with host.start():
        accepted = []
        for n in range(60):
            answer = send(host, n)
            if answer.status != 200:
                break
            accepted.append(answer.json["id"])
            if len(accepted) == 10:
                assert host.log(mark=50)["level"] == "warn"
        assert (answer.status, answer.json) == (503, {"error": "store_unavailable"})
        assert int(answer.headers["Retry-After"]) > 0
        assert 14 <= len(accepted) <= 22, len(accepted)
        host.log(mark=80)
        eventually(lambda: host.request("GET", "/readyz").status == 503, "not ready")
        assert host.request("GET", "/healthz").status == 200
        assert host.log(msg="the store takes nothing more: deliveries are answered 503")["level"] == "error"
        assert len(host.logged(mark=50)) == len(host.logged(mark=80)) == 1, "once each"

        # Live work was not dropped for it; a person can make room.
        assert {d["state"] for d in host.api("deliveries", limit=100)["deliveries"]} == {"retrying"}
        assert len(host.api("deliveries", limit=100)["deliveries"]) == len(accepted)
        host.post("scripts/a/discard")
        eventually(lambda: host.request("GET", "/readyz").status == 200, "ready")
        eventually(lambda: send(host, 100).status == 200, "it takes deliveries")
        host.log(msg="the store works again")


def test_what_is_done_makes_room(tmp_path):
    host = Host(tmp_path, "--store-max-bytes", "16MiB", wait=False)
    host.write("a.lua", "function on_issue() end")
    with host.start():
        for n in range(60):
            eventually(lambda: send(host, n).status == 200, "it is taken")
        assert host.request("GET", "/readyz").status == 200
        newest = host.api("deliveries", limit=100)["deliveries"]
        assert 5 < len(newest) < 25
