"""moonpost preview: the form as Sentry renders it, in a real browser."""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import urllib.parse

import pytest

from conftest import MOONPOST, clean_env
from host import PATIENCE_S, eventually, sign
from peer import Peer

SCRIPT = """
alert_action {
  title = "Page the on-call",
  description = "Somebody is woken up",
  fields = {
    { name = "team", label = "Team", type = "select", required = true, async = false, options = function()
      return { { value = "web", label = "Web" }, { value = "ops", label = "Ops" } } end },
    { name = "service", label = "Service", type = "select", required = true, depends_on = { "team" },
      options = function(q)
        local list = {}
        for _, name in ipairs { "api", "basket", "checkout" } do
          if name:find(q.query, 1, true) then
            list[#list + 1] = { value = name, label = q.dependentData.team .. " " .. name }
          end
        end
        return list
      end },
    { name = "urgency", label = "Urgency", type = "select", options = { { value = "low", label = "Can wait" } } },
    { name = "note", label = "Note", type = "textarea", required = true },
  },
  validate = function(settings)
    log.info("looking", { service = settings.service })
    local res = http.post(secret "PAGER_URL", { json = settings })
    if not res or not res.ok then return nil, "The pager refuses " .. settings.service end
    return "Saved for " .. settings.service
  end,
  fire = function(settings, alert)
    log.info("fired", { note = settings.note, title = alert.title })
    assert(http.post(secret "PAGER_URL", { json = { service = settings.service } }))
    if settings.note == "fail" then error("no luck") end
  end,
}
"""


class Preview:
    """moonpost preview in a folder, until the end of the test."""

    def __init__(self, folder, *args, env=None):
        self.folder = folder
        self.process = subprocess.Popen(
            [MOONPOST, "preview", *args], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env=clean_env(**(env or {})))
        line = self.process.stdout.readline()
        found = re.match(r"preview: (http://([\d.]+):(\d+)/\?token=([0-9a-f]{32}))\n", line)
        assert found, line + self.process.stderr.read()
        self.url, self.host, self.port, self.token = found.group(1, 2, 3, 4)

    def ask(self, method, path, body=None, **headers):
        full = {"X-Preview-Token": self.token, "Content-Type": "application/json", **headers}
        conn = http.client.HTTPConnection(self.host, int(self.port), timeout=PATIENCE_S)
        try:
            conn.request(method, path, body=None if body is None else json.dumps(body),
                         headers={k: v for k, v in full.items() if v is not None})
            r = conn.getresponse()
            return r.status, r.headers, r.read()
        finally:
            conn.close()

    def json(self, method, path, body=None):
        status, _, text = self.ask(method, path, body)
        assert status == 200, (status, text)
        return json.loads(text)

    def script(self):
        scripts = self.json("GET", "/api/state")["scripts"]
        return scripts[0] if scripts and scripts[0]["state"] != "loading" else None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.send_signal(signal.SIGINT)
        try:
            _, log = self.process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, log = self.process.communicate()
            raise AssertionError("did not stop\n" + log)
        if error[0] is not None:
            print(log)
        assert self.process.returncode == 0, log


@pytest.fixture
def pager():
    refuses = []

    def answer(request):
        return (503, "no") if request.json.get("service") in refuses else (200, "ok")

    with Peer(answer) as peer:
        peer.refuses = refuses
        yield peer


@pytest.fixture
def preview(tmp_path, pager):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "tmp").mkdir()
    (tmp_path / "scripts" / "page.lua").write_text(SCRIPT)
    with Preview(tmp_path, "page", "--allow-host", urllib.parse.urlsplit(pager.url).netloc, env={
            "PAGER_URL": pager.url + "/hook?key=secret-of-the-pager", "SENTRY_CLIENT_SECRET": "client-secret",
            "TMPDIR": str(tmp_path / "tmp")}) as p:
        eventually(p.script, "the script is loaded")
        yield p
    assert os.listdir(tmp_path / "tmp") == []


def test_only_who_has_the_token_may_ask(preview):
    assert preview.ask("GET", "/?token=" + preview.token)[0] == 200
    assert preview.ask("GET", "/?token=" + "0" * 32)[0] == 401
    assert preview.ask("GET", "/")[0] == 401
    assert preview.ask("GET", "/api/state", **{"X-Preview-Token": None})[0] == 401
    assert preview.ask("GET", "/api/state", Host="evil.example")[0] == 403
    assert preview.ask("POST", "/api/request", {"route": ""})[0] == 400
    _, headers, page = preview.ask("GET", "/?token=" + preview.token)
    assert "default-src 'none'" in headers["Content-Security-Policy"] and b"http://" not in page


def test_it_is_for_this_machine_alone(moonpost, tmp_path):
    (tmp_path / "scripts").mkdir()
    r = moonpost("preview", "--listen", "0.0.0.0:0")
    assert r.status == 2 and "this machine" in r.err
    assert moonpost("preview", "nobody").status == 3


def test_the_request_is_what_sentry_sends(preview, pager):
    body = {"fields": [{"name": "team", "value": "web"}, {"name": "service", "value": "api"},
                       {"name": "note", "value": "n"}], "installationId": "u"}
    told = preview.json("POST", "/api/request", {"route": "alert-rule-action", "body": body})
    request = told["request"]
    assert (request["method"], request["path"]) == ("POST", "/ui/alert-rule-action")
    assert json.loads(request["body"]) == body
    assert request["headers"]["Sentry-App-Signature"] == sign(request["body"].encode(), "client-secret")
    assert told["response"] == {"status": 200, "location": None, "body": {"message": "Saved for api"}}
    assert [line["message"] for line in told["run"]["log"]] == ["looking"]
    assert told["run"]["calls"][0]["method"] == "POST" and told["run"]["calls"][0]["status"] == 200
    assert "secret-of-the-pager" not in json.dumps(told)
    assert pager.requests[0].json["service"] == "api"


def test_options_are_signed_over_nothing(preview):
    query = {"installationId": "u", "query": "a b", "dependentData": json.dumps({"team": "web"})}
    told = preview.json("POST", "/api/request", {"route": "options/service", "query": query})
    assert told["request"]["path"].startswith("/ui/options/service?installationId=u&query=a")
    assert told["request"]["headers"]["Sentry-App-Signature"] == sign(b"", "client-secret")
    assert told["response"]["status"] == 200


def test_a_sample_alert_fires(preview, pager):
    settings = [{"name": "service", "value": "api"}, {"name": "note", "value": "n"}]
    told = preview.json("POST", "/api/fire", {"script": "page", "settings": settings})
    run = told["run"]
    assert run["outcome"] == "done" and run["error"] is None
    assert run["log"][0]["fields"] == {"note": "n", "title": "An alert of the preview"}
    assert run["calls"][0]["status"] == 200 and pager.requests[0].json == {"service": "api"}
    request = told["request"]
    assert request["headers"]["Sentry-Hook-Signature"] == sign(request["body"].encode(), "client-secret")
    assert json.loads(request["body"])["data"]["issue_alert"]["settings"] == settings
    told = preview.json("POST", "/api/fire", {"script": "page", "settings": [{"name": "note", "value": "fail"}]})
    assert told["run"]["outcome"] == "error" and "no luck" in told["run"]["error"]
    assert preview.ask("POST", "/api/fire", {"script": "page"})[0] == 400


def test_a_script_without_the_sandbox(tmp_path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "list").write_text("from a file")
    (tmp_path / "scripts" / "open.lua").write_text("""
local f = assert(io.open("list")) local text = f:read "a" f:close()
alert_action { title = "T", fields = { { name = "n", label = "N", type = "text", required = true } },
  validate = function() return io.popen("printf %s '" .. text .. "'"):read "a" end }
""")
    with Preview(tmp_path, "open", "--unsafe-stdlib", "open") as preview:
        assert eventually(preview.script, "the script is loaded")["state"] == "loaded"
        body = {"fields": [{"name": "n", "value": "v"}], "installationId": "u"}
        told = preview.json("POST", "/api/request", {"route": "alert-rule-action", "body": body})
        assert told["response"] == {"status": 200, "location": None, "body": {"message": "from a file"}}


def test_a_broken_save_is_told_and_the_last_good_one_stays(preview, tmp_path):
    (tmp_path / "scripts" / "page.lua").write_text("alert_action {}")
    eventually(lambda: preview.script()["error"], "the error is told")
    assert "scripts/page.lua:1: alert_action: 'title'" in preview.script()["error"]
    assert preview.script()["components"][0]["title"] == "Page the on-call"


# ---- in a browser ------------------------------------------------------------

@pytest.fixture
def browser(tmp_path):
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("there is no Chromium here")
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    # As root, and in a container without much of /dev/shm.
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                 f"--user-data-dir={tmp_path}/browser", "--window-size=1200,1400", "--no-first-run"):
        options.add_argument(flag)
    driver = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)
    driver.set_page_load_timeout(PATIENCE_S)
    driver.set_script_timeout(PATIENCE_S)
    try:
        yield driver
    finally:
        driver.quit()


class Form:
    def __init__(self, driver):
        self.driver = driver

    def find(self, css):
        found = self.driver.find_elements("css selector", css)
        return found[0] if found else None

    def options(self, name):
        # In one go: they are replaced while they load.
        return self.driver.execute_script(
            "return [...document.querySelectorAll(arguments[0])].map((o) => o.textContent)", f"#field-{name} option")

    def choose(self, name, label):
        from selenium.webdriver.support.ui import Select
        eventually(lambda: label in self.options(name), f"{label} among the options of {name}")
        Select(self.find("#field-" + name)).select_by_visible_text(label)

    def problem(self, name):
        return self.text(f"#field-{name}-problem")

    def send(self):
        self.find("#submit").click()

    def text(self, css):
        return self.driver.execute_script("return document.querySelector(arguments[0])?.textContent ?? ''", css)

    def says(self, text):
        return eventually(lambda: text in self.text("#verdict"), text)


def test_the_form_in_a_browser(browser, preview, pager, tmp_path):
    form = Form(browser)
    browser.get(preview.url)
    eventually(lambda: form.find("#submit"), "the form is there")
    assert form.text("#form-title") == "Page the on-call"
    assert form.text("#form-about") == "Somebody is woken up"
    labels = [e.text for e in browser.find_elements("css selector", "#form label")]
    assert labels == ["Team *", "Service *", "Urgency", "Note *"]
    assert not form.find("#field-service").is_enabled(), "it depends on the team"

    # What is required is asked for, and the first of it gets the focus.
    form.send()
    assert form.problem("team") == "This field is required" and form.problem("note")
    assert browser.switch_to.active_element.get_attribute("id") == "field-team"
    assert not form.problem("urgency") and not pager.requests

    # The dependent select follows the one that it depends on, and what is typed.
    form.choose("team", "Web")
    eventually(lambda: form.options("service") == ["--", "web api", "web basket", "web checkout"], "services of web")
    form.choose("team", "Ops")
    eventually(lambda: form.options("service") == ["--", "ops api", "ops basket", "ops checkout"], "services of ops")
    form.find("#field-service-search").send_keys("bask")
    eventually(lambda: form.options("service") == ["--", "ops basket"], "what was searched for")
    form.choose("service", "ops basket")
    form.choose("urgency", "Can wait")
    form.find("#field-note").send_keys("<b>Wake up</b>")

    # Refused, then good.
    pager.refuses.append("basket")
    form.send()
    form.says("Sentry shows: The pager refuses basket")
    assert "bad" in form.find("#verdict").get_attribute("class")
    pager.refuses.clear()
    form.send()
    form.says("Sentry shows: Saved for basket")
    assert pager.requests[-1].json == {"team": "ops", "service": "basket", "urgency": "low", "note": "<b>Wake up</b>"}
    shown = form.text("#result")
    for part in ("POST /ui/alert-rule-action", "Sentry-App-Signature: ", 'looking {"service":"basket"}', "-> 200"):
        assert part in shown, shown

    # What the alert would do.
    form.find("#fire").click()
    form.says("fire: done")
    assert "fired" in form.text("#result") and "Sentry-Hook-Resource: event_alert" in form.text("#result")

    # A save shows at once, and what was filled in stays.
    script = tmp_path / "scripts" / "page.lua"
    script.write_text(SCRIPT.replace("Page the on-call", "Wake somebody"))
    eventually(lambda: form.text("#form-title") == "Wake somebody", "the saved title")
    assert form.find("#field-note").get_attribute("value") == "<b>Wake up</b>"
    script.write_text("alert_action {")
    eventually(lambda: "page.lua" in form.text("#trouble"), "the error of a broken save")
