"""What lua/meta promises of each module, clause by clause, as a handler in a real host sees it.

What has a file of its own (test_http, test_steps, test_schedule, test_sentry, test_oauth, test_ui) is there in depth; here is the
rest, so that a clause without a test is one that is missing on this page.
"""

import hashlib
import json

import pytest

from host import Host, eventually
from peer import Peer
from test_handlers import envelope

# Called in a handler: fails(f, ...) is the error of f(...).
HEAD = """
local function fails(f, ...)
  local ok, e = pcall(f, ...)
  assert(not ok, "it does not fail")
  return tostring(e)
end
local function says(e, text) assert(e:find(text, 1, true), e) end
"""


def run(tmp_path, body, *options, top="", env=None, peer=None, **files):
    """Run a handler with this body to its end and return its host, which is down by then."""
    host = Host(tmp_path, "--retry-attempts", "1", "--allow-private", *options, wait=False,
                env={**({"PEER": peer.url} if peer else {}), **(env or {})})
    for name, source in files.items():
        host.write(name.replace("__", "/") + ".lua", source)
    host.write("promise.lua", top + HEAD + "function on_event(event)\n" + body + "\nlog.info('kept')\nend\n")
    with host.start():
        assert not host.logged(msg="script failed to load"), host.tail()
        assert host.deliver("thing", envelope(n=1)).status == 200
        eventually(lambda: host.logged(msg="job done") or host.logged(msg="handler failed"), "its end")
        failed = host.logged(msg="handler failed")
        assert not failed, failed
        host.shown = host.api("deliveries")["deliveries"][0]
        host.detail = host.api("deliveries/" + host.shown["id"])
    return host


# ---- all modules ---------------------------------------------------------------------------------------------------------
MODULES = ["http", "json", "kv", "log", "secret", "sentry", "oauth", "crypto", "schedule", "step", "sleep", "alert_action",
           "issue_link", "stacktrace_link"]


def test_modules_are_globals_and_by_require_and_read_only(tmp_path):
    run(tmp_path, """
  for _, name in ipairs(json.decode(NAMES)) do
    local m = _G[name]
    assert(m ~= nil, name)
    assert(require(name) == m, name)
    if type(m) == "table" then
      says(fails(function() m.added = 1 end), name .. " is read-only")
      for key in pairs(m) do says(fails(function() m[key] = nil end), "is read-only") break end
      assert(not pcall(rawset, m, "added", 1) and m.added == nil, name)
    end
  end
""", top=f"NAMES = [==[{json.dumps(MODULES)}]==]\n")


def test_durations_are_seconds_or_text_with_a_unit(tmp_path):
    with Peer() as peer:
        run(tmp_path, """
  for _, d in ipairs { 0, 0.001, 1e-3, "1ms", "0s" } do sleep(d) end
  for _, d in ipairs { "1h", "30m", "60000ms", 60, "59s", 3600 } do
    assert(kv.set("k", 1, { ttl = d }))
    assert(http.get(secret "PEER", { timeout = d }))
  end
  for _, d in ipairs { -1, "s", "1 year", "-1s", 0/0, 1/0, {}, true } do
    fails(sleep, d)
    fails(kv.set, "k", 1, { ttl = d })
    fails(http.get, secret "PEER", { timeout = d })
  end
""", peer=peer)


def test_waits_are_for_handlers_themselves(tmp_path):
    run(tmp_path, """
  for name, wait in pairs { sleep = function() sleep(0) end, kv = function() return kv.get("k") end,
      http = function() return http.get(secret "PEER") end, step = function() return step("s", function() end) end } do
    says(fails(coroutine.wrap(wait)), "coroutine")
    says(fails(table.sort, { 2, 1 }, function(a, b) wait() return a < b end), "")
    says(fails(string.gsub, "a", "a", wait), "")
  end
""", env={"PEER": "http://127.0.0.1:9/"})


# ---- json ---------------------------------------------------------------------------------------------------------------
def test_json(tmp_path):
    run(tmp_path, r"""
  assert(json.encode {} == "{}" and json.encode(json.array {}) == "[]" and json.encode(json.array()) == "[]")
  assert(json.encode { 1, 2 } == "[1,2]" and json.encode { a = json.null } == '{"a":null}')
  assert(json.encode(json.decode('{"a":[],"b":{}}').a) == "[]" and json.encode(json.decode('{"a":[],"b":{}}').b) == "{}")
  local t = {} assert(json.array(t) == t)
  fails(json.array, setmetatable({}, {}))
  assert(json.encode(math.maxinteger) == "9223372036854775807" and json.decode("9223372036854775807") == math.maxinteger)
  assert(math.type(json.decode "1") == "integer" and math.type(json.decode "1.0") == "float")
  assert(json.decode('"\\u00e4\\u0000"') == "\u{e4}\0")
  assert(json.encode("\xff") == '"\u{fffd}"')
  assert(json.encode(setmetatable({ a = 1 }, { __index = { b = 2 }, __pairs = error })) == '{"a":1}')
  assert(json.decode("null") == json.null and json.null == require "cjson".null and json.null)
  for text, at in pairs { ["{"] = 1, [""] = 0, ["[1,]"] = 3, ["01"] = 1, ["nul"] = 3, ["[1] 2"] = 4 } do
    local v, message, offset = json.decode(text)
    assert(v == nil and type(message) == "string" and offset == at, text .. ": " .. tostring(offset))
  end
  assert(json.decode(("["):rep(512) .. ("]"):rep(512)) and json.decode(("["):rep(513) .. ("]"):rep(513)) == nil)
  says(fails(json.encode, { items = { 1, { fn = print } } }), "items[2].fn")
  for _, v in ipairs { 0/0, 1/0, { 1, nil, 3 }, { 1, a = 2 }, { [2] = 1 }, { [true] = 1 } } do fails(json.encode, v) end
""")


# ---- kv -----------------------------------------------------------------------------------------------------------------
def test_kv(tmp_path):
    run(tmp_path, """
  assert(kv.get("none") == nil and kv.delete("none") == false)
  assert(kv.set("a/1", { x = json.array {}, n = json.null, i = 1 << 60 }) == true)
  local v = kv.get("a/1")
  assert(json.encode(v.x) == "[]" and v.n == json.null and v.i == 1 << 60)
  kv.set("null", json.null) assert(kv.get("null") == json.null)
  kv.set("false", false) assert(kv.get("false") == false)
  assert(kv.add("a/2", 1) == true and kv.add("a/2", 2) == false and kv.get("a/2") == 1)
  assert(kv.add("a/3", 1, { ttl = "1h" }) == true)
  assert(kv.incr("n") == 1 and kv.incr("n", 5) == 6 and kv.incr("n", -10) == -4 and math.type(kv.get("n")) == "integer")
  for _, bad in ipairs { 1.5, "x", {} } do kv.set("bad", bad) fails(kv.incr, "bad") end
  fails(kv.incr, "n", 1.5)
  kv.set("most", math.maxinteger) fails(kv.incr, "most") assert(kv.get("most") == math.maxinteger)
  for _, k in ipairs { "b", "a/10", "A", "\\u{e4}" } do kv.set(k, 1) end
  assert(table.concat(kv.list("a/"), " ") == "a/1 a/10 a/2 a/3")
  assert(table.concat(kv.list(), " ") == "A a/1 a/10 a/2 a/3 b bad false most n null \\u{e4}")
  assert(json.encode(kv.list("zz")) == "[]")
  assert(kv.delete("b") == true and kv.get("b") == nil)
  kv.set(("k"):rep(1024), 1) fails(kv.set, ("k"):rep(1025), 1) fails(kv.set, "", 1) fails(kv.set, "\\xff", 1)
  local most = ("x"):rep(65536 - 2)
  kv.set("large", most) assert(kv.get("large") == most)
  says(fails(kv.set, "large", most .. "x"), "more than 65536 bytes") assert(kv.get("large") == most)
  fails(kv.set, "k", nil) fails(kv.set, "k", print) fails(kv.set, "k", 1, { tll = 1 })
""")


def test_an_incr_keeps_the_ttl(tmp_path):
    run(tmp_path, """
  kv.set("n", 1, { ttl = "300ms" })
  assert(kv.incr("n") == 2)
  local tries = 0
  while kv.get("n") do tries = tries + 1 assert(tries < 1000) sleep(0.02) end
  assert(kv.incr("n") == 1)
""")


# ---- crypto -------------------------------------------------------------------------------------------------------------
def test_crypto(tmp_path):
    run(tmp_path, r"""
  assert(crypto.sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  assert(crypto.hex(crypto.sha256("abc", "raw")) == crypto.sha256("abc") and #crypto.sha256("", "raw") == 32)
  assert(crypto.hmac_sha256("key", "The quick brown fox jumps over the lazy dog")
    == "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8")
  assert(crypto.hex(crypto.hmac_sha256("k", "m", "raw")) == crypto.hmac_sha256("k", "m", "hex"))
  fails(crypto.sha256, "x", "base64")
  assert(crypto.hex("\0\xAB\xff") == "00abff")
  assert(crypto.base64("\xfb\xff\xfe") == "+//+" and crypto.base64url("\xfb\xff\xfe") == "-__-")
  assert(crypto.base64("a") == "YQ==" and crypto.base64url("a") == "YQ")
  assert(crypto.unbase64("YQ==") == "a" and crypto.unbase64url("YQ") == "a" and crypto.unbase64url("YQ==") == "a")
  for _, text in ipairs { "YQ", "YQ=", "Y Q==", "YQ==\n", "YR==", "-__-" } do
    local bytes, message, code = crypto.unbase64(text)
    assert(bytes == nil and type(message) == "string" and code == "invalid", text)
  end
  assert(select(3, crypto.unbase64url("+//+")) == "invalid")
  assert(#crypto.random(16) == 16 and crypto.random(0) == "" and crypto.random(16) ~= crypto.random(16))
  assert(#crypto.random(1048576) == 1048576) fails(crypto.random, 1048577) fails(crypto.random, -1)
  local uuid = crypto.uuid()
  assert(uuid:match("^%x%x%x%x%x%x%x%x%-%x%x%x%x%-4%x%x%x%-[89ab]%x%x%x%-%x+$") and #uuid == 36 and uuid == uuid:lower())
  assert(crypto.equal("a", "a") and not crypto.equal("a", "b") and not crypto.equal("a", "ab"))
  local head, claims, signature = crypto.jwt_hs256({ iss = "m", exp = 1 }, "key"):match("^([^.]+)%.([^.]+)%.([^.]+)$")
  assert(json.decode(crypto.unbase64url(head)).alg == "HS256")
  local back = json.decode(crypto.unbase64url(claims))
  assert(back.iss == "m" and back.exp == 1 and next(back, next(back, next(back))) == nil)
  assert(crypto.unbase64url(signature) == crypto.hmac_sha256("key", head .. "." .. claims, "raw"))
""")


# ---- log, print -----------------------------------------------------------------------------------------------------------
def test_log(tmp_path):
    host = run(tmp_path, """
  log.debug("low") log.warn("odd", { n = 1 << 53, list = { 1, { a = json.null } } })
  log.error("bad", { fn = print, nan = 0/0, deep = { f = print } })
  log.info(12) log.info(nil) log.info({ 1 }) log.info(true)
  print("a", 1, nil, true)
  log.info("line\\nbreak \\27[31m", { text = "two\\nlines" })
""")
    low, odd, bad = (host.logged(msg=m)[0] for m in ("low", "odd", "bad"))
    for line, level in ((low, "debug"), (odd, "warn"), (bad, "error")):
        assert (line["level"], line["script"], line["delivery"]) == (level, "promise", host.shown["id"])
    assert (odd["n"], odd["list"]) == (1 << 53, [1, {"a": None}])
    assert "function" in bad["fn"] and "NaN" in bad["nan"] and "cannot encode f" in bad["deep"]
    for text in ("12", "nil", "true"):
        assert host.logged(msg=text, level="info"), text
    assert [line for line in host.lines if line.get("msg", "").startswith("table")]
    assert [line for line in host.lines if line.get("msg", "").split() == ["a", "1", "nil", "true"]]
    assert host.logged(msg="line\nbreak \x1b[31m", text="two\nlines")
    kept = host.detail["jobs"][0]["runs"][0]["log"]
    assert [line["level"] for line in kept[:3]] == ["debug", "warn", "error"]


@pytest.mark.parametrize("text", ["x", "x" * 1000], ids=["lines", "bytes"])
def test_a_run_says_so_much_and_then_that_the_rest_is_left_out(tmp_path, text):
    host = run(tmp_path, f"for i = 1, 1200 do log.info('{text}', {{ i = i }}) end")
    kept = host.detail["jobs"][0]["runs"][0]["log"]
    said = [line for line in kept if line["message"] == text]
    rest = [line for line in kept if line["message"] not in (text, "kept")]
    assert len(rest) == 1 and "left out" in rest[0]["message"], rest
    assert len(said) == 1000 if len(text) == 1 else 200 < len(said) < 256 * 1024 // 1000 + 1, len(said)


# ---- secret -------------------------------------------------------------------------------------------------------------
def test_secret(tmp_path):
    (tmp_path / "secrets" / "ext").mkdir(parents=True)
    (tmp_path / "secrets" / "FROM_FILE").write_text("file-secret-77\n")
    (tmp_path / "secrets" / "ext" / "FROM_FILE").write_text("ext-file-secret-77")
    (tmp_path / "other").mkdir()
    body = HEAD + """
function on_event(event)
  for _, name in ipairs { "MOONPOST_X", "MOONPOST_KEY", "SENTRY_CLIENT_SECRET", "SENTRY_CLIENT_ID", "lower", "A-B", "1A", "",
      "A/B", "../A", "EXT__TOKEN", "PATH\\0" } do fails(secret, name) end
  says(fails(secret, "MISSING"), "set ")
  fails(secret) fails(secret, {})
  assert(type(secret "TOKEN") == "string" and secret "TOKEN" == secret("TOKEN"))
  log.info("is " .. secret "TOKEN" .. " " .. crypto.base64(secret "TOKEN"), { file = secret "FROM_FILE", n = #secret "FROM_FILE",
    hash = crypto.sha256(secret "TOKEN" .. secret "FROM_FILE") })
  log.info("kept")
end
"""
    (tmp_path / "other" / "theirs.lua").write_text(body)
    (tmp_path / "moonpost.lua").write_text(
        'return { integrations = { ext = { client_secret = "ext-client", scripts = "%s/other" } } }' % tmp_path)
    host = Host(tmp_path, "--retry-attempts", "1", "--secrets", str(tmp_path / "secrets"), "--config",
                str(tmp_path / "moonpost.lua"), wait=False,
                env={"TOKEN": "env-secret-4711", "ext__TOKEN": "ext-secret-4711", "MOONPOST_X": "no", "A-B": "no", "lower": "no"})
    host.write("mine.lua", body)
    host.write("needs.lua", 'local url = secret "MISSING"\nfunction on_event() end')
    with host.start():
        failed = host.log(msg="script failed to load", script="needs")
        assert "no secret MISSING" in failed["error"] and "MISSING" in failed["error"]
        hashes = {}
        for path, key, script, text in (("/webhook", None, "mine", "env-secret-4711file-secret-77"),
                                        ("/i/ext/webhook", "ext-client", "theirs", "ext-secret-4711ext-file-secret-77")):
            assert host.deliver("thing", envelope(n=1), path=path, secret=key).status == 200
            eventually(lambda: host.logged(msg="kept", script=script) or host.logged(msg="handler failed"), "its end")
            assert not host.logged(msg="handler failed"), host.tail()
            hashes[script] = [line["hash"] for line in host.lines if line.get("script") == script and "hash" in line]
            assert hashes[script] == [hashlib.sha256(text.encode()).hexdigest()]
        for line in host.lines:
            assert not any(s in json.dumps(line) for s in ("4711", "secret-77", "ZW52LXNlY3JldC00NzEx")), line


# ---- http -----------------------------------------------------------------------------------------------------------------
def test_http(tmp_path):
    def answer(request):
        if request.path == "/large":
            return 200, b"x" * (8 * 1024 * 1024 + 1)
        if request.path == "/just":
            return 200, b"x" * (8 * 1024 * 1024)
        if request.path == "/echo":
            return 200, request.body, {"X-Kind": "a"}
        return 204 if request.path == "/204" else 404 if request.path == "/404" else 200, "{not json" if request.path == "/bad" else ""

    with Peer(answer) as peer:
        run(tmp_path, """
  local url = secret "PEER"
  for _, method in ipairs { "get", "post", "put", "patch", "delete" } do
    local res = assert(http[method](url .. "/echo"))
    assert(res.status == 200 and res.ok == true and res.headers["x-kind"] == "a" and res.headers["X-KIND"] == "a")
  end
  assert(http.get(url .. "/204").ok == true and http.get(url .. "/404").ok == false)
  local v, message, offset = http.get(url .. "/bad"):json()
  assert(v == nil and type(message) == "string" and offset == 1)
  assert(http.post(url .. "/echo", { json = { a = json.array {} } }).body == '{"a":[]}')
  assert(http.post(url .. "/echo", { form = { a = "b c", n = 1 } }).body:find("a=b", 1, true))
  assert(#http.get(url .. "/just").body == 8 << 20)
  local res, why, code = http.get(url .. "/large")
  assert(res == nil and type(why) == "string" and code == "too_large")
  assert(http.get(url .. "/large", { max_bytes = 9 << 20 }).ok)
  res, why, code = http.get("http://127.0.0.1:1/", { timeout = 5 })
  assert(res == nil and code == "connect")
  local all = http.all { { url = url .. "/404" }, { method = "POST", url = url .. "/echo", body = "x" }, { url = "http://127.0.0.1:1/" } }
  assert(#all == 3 and all[1].status == 404 and all[2].body == "x" and all[3].code == "connect" and all[3].error)
  assert(#http.all {} == 0)
  local many = {} for i = 1, 1001 do many[i] = { url = url } end
  fails(http.all, many)
  says(fails(http.get, url, { timeot = 5 }), "timeot")
  fails(http.get, url, { body = "a", json = 1 }) fails(http.get) fails(http.get, "not a url")
""", peer=peer)


# ---- os -------------------------------------------------------------------------------------------------------------------
def test_os(tmp_path):
    run(tmp_path, """
  local names = {}
  for name in pairs(os) do names[#names + 1] = name end
  table.sort(names)
  assert(table.concat(names, " ") == "clock date difftime time")
  local t = os.time()
  assert(math.type(t) == "integer" and math.abs(t - event.received_at) < 60)
  assert(os.time { year = 2024, month = 1, day = 1, hour = 12 } - os.time { year = 2024, month = 1, day = 1, hour = 11 } == 3600)
  assert(os.date("!%Y-%m-%dT%H:%M:%SZ", 0) == "1970-01-01T00:00:00Z" and os.date("!*t", 0).year == 1970)
  assert(os.difftime(3, 1) == 2 and os.clock() >= 0)
  assert(#os.date(("x"):rep(1000)) == 1000) fails(os.date, ("x"):rep(1001))
""")
