"""Steps with the answers that Sentry gives, from files in goldens/: a string
that begins with ~ is a pattern (~NAME=... captures), $NAME is what is known."""

import base64
import json
import os
import re
import urllib.parse

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "goldens")


def fill(value, known):
    """value with every $NAME in its strings replaced."""
    if isinstance(value, str):
        return re.sub(r"\$([a-z_]+)", lambda m: known[m.group(1)], value)
    if isinstance(value, dict):
        return {k: fill(v, known) for k, v in value.items()}
    if isinstance(value, list):
        return [fill(v, known) for v in value]
    return value


def compare(wanted, given, known, where=""):
    """Fail unless given is what is wanted; exactly, but for patterns."""
    if isinstance(wanted, str) and wanted.startswith("~"):
        name, pattern = re.fullmatch(r"~(?:([a-z_]+)=)?(.*)", wanted, re.S).groups()
        assert isinstance(given, str), f"{where}: {given!r} is no text"
        match = re.fullmatch(pattern, given)
        assert match, f"{where}: {given!r} is not {pattern}"
        known.update(match.groupdict())
        if name:
            known[name] = given
    elif isinstance(wanted, dict):
        assert isinstance(given, dict) and list(given) == list(wanted), f"{where}: members {list(given)}, not {list(wanted)}"
        for key in wanted:
            compare(wanted[key], given[key], known, f"{where}/{key}")
    elif isinstance(wanted, list):
        assert isinstance(given, list) and len(given) == len(wanted), f"{where}: {given!r}"
        for i, (a, b) in enumerate(zip(wanted, given)):
            compare(a, b, known, f"{where}/{i}")
    else:
        want = fill(wanted, known)
        assert type(want) is type(given) and want == given, f"{where}: {given!r}, not {want!r}"


def play(sim, name, known):
    """Make the calls of goldens/NAME.json one by one."""
    with open(os.path.join(FOLDER, name + ".json")) as f:
        steps = json.load(f)["steps"]
    known.update(client_id=sim.client_id, client_secret=sim.secret, url=sim.url)
    for n, step in enumerate(steps):
        method, path = (fill(part, known) for part in step["call"])
        where = f"{name} step {n}: {method} {path}"
        headers, body = {}, None
        if "bearer" in step:
            headers["Authorization"] = "Bearer " + fill(step["bearer"], known)
        if step.get("basic"):
            pair = base64.b64encode(f"{sim.client_id}:{sim.secret}".encode()).decode()
            headers["Authorization"] = "Basic " + pair
        if "json" in step:
            headers["Content-Type"] = "application/json"
            body = json.dumps(fill(step["json"], known))
        if "form" in step:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urllib.parse.urlencode(fill(step["form"], known))
        answer = sim.request(method, path, body, headers)
        assert answer.status == step["status"], f"{where}: {answer}"
        for header, value in step.get("headers", {}).items():
            compare(value, answer.headers[header], known, f"{where}: {header}")
        if step["answer"] == "":
            assert answer.body == b"", f"{where}: {answer}"
        else:
            compare(step["answer"], answer.json, known, where)
