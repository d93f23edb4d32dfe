"""moonpost.lua: found, trusted, evaluated and checked."""

import json
import os
import signal

import pytest

from host import Host, eventually
from test_cli import DEPLOYS, Catcher, sign

@pytest.fixture
def config(tmp_path):
    """Write moonpost.lua, and a document that it can name."""
    (tmp_path / "deploys.yml").write_text(DEPLOYS)

    def write(source, name="moonpost.lua", mode=0o600):
        path = tmp_path / name
        path.write_text(source)
        path.chmod(mode)
        return path

    return write


def resources(result):
    assert result.status == 0, result
    return {row["resource"] for row in json.loads(result.out)}


def test_beside_the_scripts_folder(moonpost, config, tmp_path):
    assert "deploy" not in resources(moonpost("channels", "--json"))
    config('return { schema = "deploys.yml" }')
    assert "deploy" in resources(moonpost("channels", "--json"))
    # Beside the scripts, wherever those are.
    (tmp_path / "other").mkdir()
    elsewhere = {"MOONPOST_SCRIPTS": "other/scripts"}
    assert "deploy" not in resources(moonpost("channels", "--json", env=elsewhere))
    config('return { schema = { "deploys.yml" } }', "other/moonpost.lua")
    assert "deploy" in resources(moonpost("channels", "--json", env=elsewhere))


def test_named_by_flag_or_environment(moonpost, config):
    config('return { ["schema"] = "deploys.yml" }', "my.lua", mode=0o666)
    assert "deploy" in resources(moonpost("channels", "--json", "--config", "my.lua"))
    assert "deploy" in resources(moonpost("channels", "--json", env={"MOONPOST_CONFIG": "my.lua"}))
    r = moonpost("channels", "--config", "gone.lua")
    assert r.status == 3 and "gone.lua" in r.err


def test_flag_and_environment_come_first(moonpost, config):
    config('return { schema = "nowhere.yml" }')
    assert moonpost("channels").status == 3
    assert "deploy" in resources(moonpost("channels", "--json", "--schema", "deploys.yml"))
    assert "deploy" in resources(moonpost("channels", "--json", env={"MOONPOST_SCHEMA": "deploys.yml"}))


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_one_that_others_can_write_is_passed_over(moonpost, config, mode):
    config('return { schema = "nowhere.yml" }', mode=mode)
    r = moonpost("channels")
    assert r.status == 0
    assert "moonpost.lua is passed over: others can write to it" in r.err


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to give a file away")
def test_one_of_another_user_is_passed_over(moonpost, config):
    os.chown(config('return { schema = "nowhere.yml" }'), 65534, 65534)
    r = moonpost("channels")
    assert r.status == 0
    assert "moonpost.lua is passed over: it belongs to another user" in r.err


@pytest.mark.parametrize("source, told", [
    ('return { retry_mx = "1s" }', "moonpost.lua: unknown key 'retry_mx'; did you mean 'retry_max'?"),
    ('return { retry_max = "soon" }', "moonpost.lua: retry_max: 'soon' is not a duration"),
    ("return { retry_max = 1e9 }", "moonpost.lua: retry_max: "),
    ("return { keep_unhandled = 7 }", "moonpost.lua: keep_unhandled: '7' is neither on nor off"),
    ("return 5", "moonpost.lua: it does not return a table"),
    ("", "moonpost.lua: it does not return a table"),
    ("return {", "moonpost.lua:1: "),
    ('\nerror("oh")', "moonpost.lua:2: oh"),
    ("return { integrations = { acme = {} } }", "integrations.acme: is empty; it needs client_secret and scripts"),
    ('return { integrations = { acme = { client_secret = "s" } } }', "integrations.acme: has no scripts folder"),
    ('return { integrations = { ["../x"] = { scripts = "s" } } }', "'../x' cannot name an integration"),
    ("return { tls_cert = 'c.pem' }", "--tls-key is missing"),
    ("return { listen = print }", "moonpost.lua"),
])
def test_what_is_wrong_is_told(moonpost, config, source, told):
    config(source)
    r = moonpost("channels")
    assert r.status == 2 and told in r.err, r


def test_one_that_does_not_end_is_stopped(moonpost, config):
    config("while true do end")
    r = moonpost("channels")
    assert r.status == 2 and "moonpost.lua" in r.err


def test_help_is_there_whatever_the_file_says(moonpost, config):
    config("return {")
    assert moonpost("help").status == 0
    assert moonpost("help", "send").status == 0
    assert moonpost("send", "--help").status == 0


def test_it_has_no_more_than_it_needs(moonpost, config):
    config("assert(not io and not os.execute and not os.getenv and not debug) return {}")
    assert moonpost("channels").status == 0


def test_secrets_come_from_the_environment(moonpost, config):
    config('return { client_secret = { env "NEW", env "OLD" } }')
    with Catcher() as c:
        assert moonpost("send", "issue.created", "--url", c.url, env={"NEW": "n3w", "OLD": "0ld"}).status == 0
        _, headers, body = c.requests[0]
    assert headers["Sentry-Hook-Signature"] == sign(body, "n3w")


# ---- a host that reads it again ------------------------------------------------

ISSUE = {"action": "created", "installation": {"uuid": "x"}, "data": {"thing": 1}}


def reload(host, times):
    host.process.send_signal(signal.SIGHUP)
    host.log(count=times, msg="reloading")


def test_a_reload_takes_new_secrets_and_settings(moonpost, config, tmp_path):
    (tmp_path / "acme").mkdir()
    source = """return {{
      client_secret = {{ {secrets} }}, keep_unhandled = {keep}, retry_max = "{retry}",
      integrations = {{ acme = {{ client_secret = "{acme}", scripts = "acme" }} }},
    }}"""
    config(source.format(secrets='"first-secret"', keep="true", retry="1h", acme="acme-one"))
    with Host(tmp_path, secret=None) as host:
        assert host.deliver("thing", ISSUE, secret="first-secret").json["status"] == "accepted"
        assert host.deliver("thing", ISSUE, secret="second-secret").status == 401
        assert host.deliver("thing", ISSUE, path="/i/acme/webhook", secret="acme-one").status == 200

        config(source.format(secrets='"second-secret", "first-secret"', keep="false", retry="2h", acme="acme-two"))
        reload(host, 1)
        eventually(lambda: host.deliver("thing", ISSUE, secret="second-secret").status == 200, "the new secret")
        assert host.deliver("thing", ISSUE, secret="first-secret").json == {"status": "ignored"}
        eventually(lambda: host.deliver("thing", ISSUE, path="/i/acme/webhook", secret="acme-two").status == 200,
                   "the new secret of the other")
        assert host.deliver("thing", ISSUE, path="/i/acme/webhook", secret="acme-one").status == 401
        host.log(msg="option changed", option="client-secret")
        host.log(msg="option changed", option="keep-unhandled")
        host.log(msg="option takes effect after a restart", option="retry-max")
        assert not host.logged(option="integrations")
        assert not any("second-secret" in line for line in map(json.dumps, host.lines))

        # What is wrong changes nothing.
        config("return { retry_mx = 1 }")
        reload(host, 2)
        assert "retry_mx" in host.log(msg="configuration not reloaded")["error"]
        assert host.deliver("thing", ISSUE, secret="second-secret").status == 200

        config(source.format(secrets='"second-secret"', keep="false", retry="1h", acme="acme-two").replace("acme =", "other ="))
        reload(host, 3)
        host.log(msg="option takes effect after a restart", option="integrations")
        eventually(lambda: host.deliver("thing", ISSUE, secret="first-secret").status == 401, "the old secret to go")
