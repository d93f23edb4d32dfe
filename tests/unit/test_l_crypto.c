#include "unit/script_fixture.h"

TestSuite(l_crypto, .init = fix_setup, .fini = fix_teardown, .timeout = 30);

/* RFC 4231, test cases 1 to 7 (5 is of a cut one). */
Test(l_crypto, hmac_agrees_with_rfc_4231)
{
	fix_good(
	    "local function t(key, message, hex) "
	    "  assert(crypto.hmac_sha256(key, message) == hex) "
	    "  assert(crypto.hmac_sha256(key, message, 'hex') == hex) "
	    "  local raw = crypto.hmac_sha256(key, message, 'raw') "
	    "  assert(#raw == 32 and crypto.hex(raw) == hex) "
	    "end "
	    "t(('\\x0b'):rep(20), 'Hi There', "
	    "'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7'"
	    ") "
	    "t('Jefe', 'what do ya want for nothing?', "
	    "'5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'"
	    ") "
	    "t(('\\xaa'):rep(20), ('\\xdd'):rep(50), "
	    "'773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe'"
	    ") "
	    "local k = {} for i = 1, 25 do k[i] = string.char(i) end "
	    "t(table.concat(k), ('\\xcd'):rep(50), "
	    "'82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b'"
	    ") "
	    "assert(crypto.hmac_sha256(('\\x0c'):rep(20), "
	    "'Test With Truncation'):sub(1, 32) == "
	    "'a3b6167473100ee06e0c796c2955552b') "
	    "t(('\\xaa'):rep(131), 'Test Using Larger Than Block-Size Key - "
	    "Hash Key First', "
	    "'60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54'"
	    ") "
	    "t(('\\xaa'):rep(131), 'This is a test using a larger than "
	    "block-size key and a larger than block-size data. The key needs "
	    "to be hashed before being used by the HMAC algorithm.', "
	    "'9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2'"
	    ")");
}

Test(l_crypto, sha256_agrees_with_fips_180)
{
	fix_good(
	    "assert(crypto.sha256('abc') == "
	    "'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'"
	    ") "
	    "assert(crypto.sha256('') == "
	    "'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'"
	    ") "
	    "assert(crypto.sha256('abcdbcdecdefdefgefghfghighijhijkijkljklm"
	    "klmnlmnomnopnopq') == "
	    "'248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1'"
	    ") "
	    "assert(crypto.sha256(('a'):rep(1000000)) == "
	    "'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0'"
	    ") "
	    "assert(crypto.hex(crypto.sha256('abc', 'raw')) == "
	    "crypto.sha256('abc'))");
}

Test(l_crypto, bytes_become_digits)
{
	fix_good("assert(crypto.hex('') == '') "
		 "assert(crypto.hex('\\0\\x7f\\xff\\xA0') == '007fffa0') "
		 "assert(#crypto.hex(('x'):rep(1000000)) == 2000000)");
}

Test(l_crypto, base64_agrees_with_rfc_4648)
{
	fix_good(
	    "for plain, text in pairs{[''] = '', f = 'Zg==', fo = 'Zm8=', "
	    "  foo = 'Zm9v', foob = 'Zm9vYg==', fooba = 'Zm9vYmE=', "
	    "  foobar = 'Zm9vYmFy'} do "
	    "  assert(crypto.base64(plain) == text, text) "
	    "  assert(crypto.unbase64(text) == plain, text) "
	    "  local url = text:gsub('=', '') "
	    "  assert(crypto.base64url(plain) == url, url) "
	    "  assert(crypto.unbase64url(url) == plain, url) "
	    "end "
	    "assert(crypto.base64('\\xfb\\xff\\xfe') == '+//+') "
	    "assert(crypto.base64url('\\xfb\\xff\\xfe') == '-__-') "
	    "assert(crypto.unbase64url('Zg==') == 'f') "
	    "for n = 0, 300 do "
	    "  local bytes = crypto.random(n) "
	    "  assert(crypto.unbase64(crypto.base64(bytes)) == bytes) "
	    "  assert(crypto.unbase64url(crypto.base64url(bytes)) == bytes) "
	    "end");
}

Test(l_crypto, what_is_not_base64_is_nil_and_a_message)
{
	fix_good("for _, text in ipairs{'A', 'Zg', 'Zg=', 'Z g=', 'Zg==\\n', "
		 "'-_-_', 'Zh==', '=', '===='} do "
		 "  local v, message, code = crypto.unbase64(text) "
		 "  assert(v == nil and #message > 0 and code == 'invalid', "
		 "    text) "
		 "end "
		 "local v, message, code = crypto.unbase64url('+/+/') "
		 "assert(v == nil and #message > 0 and code == 'invalid')");
}

Test(l_crypto, random_bytes_and_uuids)
{
	fix_good("assert(crypto.random(0) == '' and #crypto.random(1) == 1) "
		 "assert(#crypto.random(1 << 20) == 1 << 20) "
		 "assert(crypto.random(32) ~= crypto.random(32)) "
		 "local seen = {} "
		 "for i = 1, 100 do "
		 "  local id = crypto.uuid() "
		 "  assert(id:match('^%x%x%x%x%x%x%x%x%-%x%x%x%x%-4%x%x%x%-"
		 "[89ab]%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$'), id) "
		 "  assert(id == id:lower() and #id == 36 and not seen[id]) "
		 "  seen[id] = true "
		 "end");
}

Test(l_crypto, compares_bytes)
{
	fix_good("assert(crypto.equal('', '') and crypto.equal('a', 'a')) "
		 "assert(crypto.equal('a\\0b', 'a\\0b')) "
		 "assert(not crypto.equal('a\\0b', 'a\\0c')) "
		 "assert(not crypto.equal('a', 'ab')) "
		 "assert(not crypto.equal('', 'a'))");
}

/* RFC 7515, appendix A.1: its key and, but for the white space, its claims. */
Test(l_crypto, signs_json_web_tokens)
{
	fix_good(
	    "local key = crypto.unbase64url('AyM1SysPpbyDfgZld3umj1qzKObwVMkoq"
	    "Q-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow') "
	    "local claims = { iss = 'joe', exp = 1300819380, "
	    "  ['http://example.com/is_root'] = true } "
	    "local token = crypto.jwt_hs256(claims, key) "
	    "local head, body, mac = token:match('^([%w_-]+)%.([%w_-]+)%."
	    "([%w_-]+)$') "
	    "assert(crypto.unbase64url(head) == "
	    "  '{\"alg\":\"HS256\",\"typ\":\"JWT\"}') "
	    "local back = json.decode(crypto.unbase64url(body)) "
	    "assert(back.iss == 'joe' and back.exp == 1300819380) "
	    "assert(back['http://example.com/is_root'] == true) "
	    "assert(crypto.base64url(crypto.hmac_sha256(key, head .. '.' .. "
	    "body, 'raw')) == mac) "
	    "assert(crypto.hmac_sha256(key, "
	    "'eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJ"
	    "leHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0"
	    "cnVlfQ', 'raw') == crypto.unbase64url("
	    "'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk')) "
	    "assert(crypto.jwt_hs256({}, 'k'):match('%.(.-)%.') == 'e30')");
}

Test(l_crypto, wrong_arguments_are_errors)
{
	fix_good(
	    "local function bad(part, f, ...) "
	    "  local ok, e = pcall(f, ...) "
	    "  assert(not ok and e:find(part, 1, true), tostring(e)) "
	    "end "
	    "bad('string expected', crypto.hmac_sha256, 'k') "
	    "bad('string expected', crypto.hmac_sha256, nil, 'm') "
	    "bad(\"invalid option 'base64'\", crypto.hmac_sha256, 'k', 'm', "
	    "  'base64') "
	    "bad(\"invalid option 'RAW'\", crypto.sha256, 'm', 'RAW') "
	    "bad('string expected', crypto.sha256, {}) "
	    "bad('string expected', crypto.hex) "
	    "bad('string expected', crypto.base64, json.null) "
	    "bad('string expected', crypto.unbase64url, true) "
	    "bad('number expected', crypto.random) "
	    "bad('no integer rep', crypto.random, 1.5) "
	    "bad('a number of bytes', crypto.random, -1) "
	    "bad('a number of bytes', crypto.random, (1 << 20) + 1) "
	    "bad('string expected', crypto.equal, 'a') "
	    "bad('string expected', crypto.equal, nil, nil) "
	    "bad('table expected', crypto.jwt_hs256, 'x', 'k') "
	    "bad('string expected', crypto.jwt_hs256, {}, nil) "
	    "bad('claims must have names', crypto.jwt_hs256, {1, 2}, 'k') "
	    "bad('claims must have names', crypto.jwt_hs256, json.array{}, "
	    "  'k') "
	    "bad('f', crypto.jwt_hs256, {f = print}, 'k') "
	    "bad('more than 65536', crypto.jwt_hs256, {s = ('x'):rep(70000)}, "
	    "'k')");
}

Test(l_crypto, what_it_makes_counts_against_the_memory_limit)
{
	env.limits.mem_bytes = 1U << 20;
	fix_good("local s = ('x'):rep(350000) "
		 "for _, f in ipairs{crypto.hex, crypto.base64} do "
		 "  local ok, e = pcall(f, s) "
		 "  assert(not ok and e == 'not enough memory', e) "
		 "end "
		 "s = nil collectgarbage() "
		 "assert(#crypto.base64(('x'):rep(3000)) == 4000)");
}

Test(l_crypto, is_there_while_a_script_loads_and_by_require)
{
	fix_load("assert(crypto == require 'crypto') "
		 "assert(#crypto.uuid() == 36) "
		 "assert(crypto.sha256('') ~= nil)");
}
