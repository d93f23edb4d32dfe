"""The bodies of `make bench`: an issue of 1.6 KB and an error event of 22 KB with a stack trace of 40
frames, shaped like what Sentry sends.  Each comes in as many variants as asked for, about different
issues, so that handlers of different issues may run side by side."""

import hashlib
import hmac
import json
import random
import uuid

INSTALLATION = "3b23e188-a6b1-4238-a9ee-9d8b2b45dbd5"
ACTOR = {"type": "application", "id": "sentry", "name": "Sentry"}
WHEN = "2026-10-02T15:21:37.482000"


def issue(n):
    number = 5520981743 + n
    web = f"https://orchard.sentry.io/issues/{number}/"
    return "issue", {
        "action": "created",
        "installation": {"uuid": INSTALLATION},
        "data": {"issue": {
            "url": f"https://sentry.io/api/0/organizations/orchard/issues/{number}/", "web_url": web,
            "project_url": "https://orchard.sentry.io/issues/?project=4505281256062976",
            "id": str(number), "shareId": None, "shortId": "PRESS-API-3F", "title": "KeyError: 'batch_id'",
            "culprit": "press.views.assign_batch", "permalink": web, "logger": None, "level": "error",
            "status": "unresolved", "statusDetails": {}, "substatus": "new", "isPublic": False, "platform": "python",
            "project": {"id": "4505281256062976", "name": "press-api", "slug": "press-api",
                        "platform": "python-django"},
            "type": "error",
            "metadata": {"value": "'batch_id'", "type": "KeyError", "filename": "press/views.py",
                         "function": "assign_batch", "in_app_frame_mix": "mixed",
                         "sdk": {"name": "sentry.python.django", "name_normalized": "sentry.python"},
                         "initial_priority": 75},
            "numComments": 0, "assignedTo": None, "isBookmarked": False, "isSubscribed": False,
            "subscriptionDetails": None, "hasSeen": False,
            "annotations": [{"displayName": "OPS-1842", "url": "https://orchard.example/browse/OPS-1842"}],
            "issueType": "error", "issueCategory": "error", "priority": "high", "priorityLockedAt": None,
            "seerFixabilityScore": 0.41, "seerAutofixLastTriggered": None, "seerExplorerAutofixLastTriggered": None,
            "isUnhandled": True, "count": "1", "userCount": 1,
            "firstSeen": WHEN + "+00:00", "lastSeen": WHEN + "+00:00"}},
        "actor": ACTOR,
    }


def frame(i):
    ours = i % 4 == 3
    path = f"press/services/batch_{i}.py" if ours else f"django/core/handlers/base_{i}.py"
    f = {"abs_path": ("/srv/press/" if ours else "/srv/press/.venv/lib/python3.12/site-packages/") + path,
         "filename": path, "function": f"assign_batch_{i}" if ours else "_get_response",
         "module": path[:-3].replace("/", "."), "lineno": 64 + 7 * i, "colno": None, "in_app": ours,
         "context_line": "    response = wrapped_callback(request, *callback_args, **callback_kwargs)"}
    if ours:
        f["pre_context"] = ["def assign_batch(request):", "    body = json.loads(request.body)", ""]
        f["post_context"] = ["    batch.assign(body[\"vessel\"])", "    return JsonResponse({\"ok\": True})", ""]
        f["vars"] = {"body": {"vessel": "'Reineta'", "crew": "['Ana', 'Luz', 'Iván']"}, "attempt": str(i),
                     "self": "<press.services.batch.Batch object at 0x7f3b2c1d9e80>"}
    else:
        f["data"] = {"orig_in_app": 1, "client_in_app": False}
        f["pre_context"] = ["            if response is None:"]
    return f


def error(n):
    number = 5520981743 + n
    event_id = uuid.uuid5(uuid.NAMESPACE_URL, f"event-{n}").hex
    web = f"https://orchard.sentry.io/issues/{number}/events/{event_id}/"
    crumbs = [{"type": "default", "category": "query", "level": "info", "timestamp": 1790954497.431,
               "message": f"SELECT \"press_user\".\"id\" FROM \"press_user\" WHERE \"press_user\".\"id\" = {i}"}
              for i in range(10)]
    return "error", {
        "action": "created",
        "installation": {"uuid": INSTALLATION},
        "data": {"error": {
            "_ref": 4505281256062976, "_ref_version": 2, "_metrics": {"bytes.stored.event": 18244},
            "event_id": event_id, "project": 4505281256062976, "key_id": "4118206", "release": "press-api@4.18.2",
            "dist": None, "platform": "python", "message": "", "datetime": WHEN + "Z", "timestamp": 1790954497.482,
            "received": 1790954497.917, "nodestore_insert": 1790954498.206, "title": "KeyError: 'batch_id'",
            "culprit": "press.views.assign_batch", "location": "press/views.py", "logger": "", "level": "error",
            "type": "error", "version": "7", "time_spent": None,
            "tags": [["browser", "Firefox 142.0"], ["environment", "production"], ["handled", "no"],
                     ["level", "error"], ["release", "press-api@4.18.2"], ["transaction", "/batchs/assign"],
                     ["user", "id:90142"]],
            "metadata": {"value": "'batch_id'", "type": "KeyError", "filename": "press/views.py",
                         "function": "assign_batch"},
            "exception": {"values": [{
                "type": "KeyError", "value": "'batch_id'", "mechanism": {"type": "django", "handled": False},
                "stacktrace": {"frames": [frame(i) for i in range(40)]}}]},
            "request": {"url": "https://press.orchard.example/batchs/assign", "method": "POST",
                        "headers": [["Accept", "application/json"], ["Content-Type", "application/json"]],
                        "query_string": [], "cookies": None, "data": {"vessel": "Reineta"}},
            "contexts": {"browser": {"name": "Firefox", "version": "142.0", "type": "browser"},
                         "runtime": {"name": "CPython", "version": "3.12.6", "type": "runtime"}},
            "breadcrumbs": {"values": crumbs},
            "sdk": {"name": "sentry.python.django", "version": "2.38.0",
                    "integrations": ["django", "logging", "stdlib"]},
            "fingerprint": ["{{ default }}"], "hashes": ["c81f02d6b7a94e35d0f16a82b9c47e03"],
            "url": f"https://sentry.io/api/0/projects/orchard/press-api/events/{event_id}/", "web_url": web,
            "issue_url": f"https://sentry.io/api/0/organizations/orchard/issues/{number}/",
            "issue_id": str(number)}},
        "actor": ACTOR,
    }


def event_alert(n):
    """The same event as an issue alert sends it: a body that both documents of the catalogue know."""
    _, body = error(n)
    return "event_alert", {
        "action": "triggered", "installation": body["installation"],
        "data": {"event": body["data"]["error"], "triggered_rule": "Errors of press-api"}, "actor": ACTOR,
    }


def event_alert_published(n):
    """And as the published document has it: where it says text, Sentry sends numbers."""
    resource, body = event_alert(n)
    body["data"]["event"].update(project=str(body["data"]["event"]["project"]), timestamp=WHEN + "Z")
    return resource, body


BODIES = {"1.6 KB": issue, "22 KB": error}
# Of `make bench-micro`; a name begins with the resource.
FILES = {"issue.jsonl": issue, "error.jsonl": error, "event_alert.jsonl": event_alert,
         "event_alert.published.jsonl": event_alert_published}
WORDS = ("assign batch vessel response callback request handler payment gateway queue worker retry timeout parse "
         "commit rollback cursor execute session token header").split()


def varied(value, rng):
    """The same shape with other text, as long by and large: a processor that has learned one text by
    heart says nothing about the next one.  A member that is null may be missing."""
    if isinstance(value, dict):
        return {k: varied(v, rng) for k, v in value.items() if v is not None or rng.random() < 0.5}
    if isinstance(value, list):
        return [varied(v, rng) for v in value]
    if isinstance(value, str) and len(value) > 4:
        words, length = "", len(value) - 4 + rng.randrange(8)
        while len(words) < length:
            words += rng.choice(WORDS) + rng.choice("____....///::  --,\"")
        return words[:length]
    if isinstance(value, int) and not isinstance(value, bool):
        return rng.randrange(10 ** rng.randrange(1, 5))
    return value


def others(make, n):
    """Bodies of one kind as they differ from each other in what people and programs have written."""
    for i in range(n):
        rng = random.Random(i)
        _, body = make(i)
        data = body["data"]
        if "issue" in data:
            at, names = data["issue"], ("title", "culprit", "metadata")
        else:
            at, names = data.get("error") or data["event"], ("title", "culprit", "metadata", "exception", "breadcrumbs",
                                                             "tags")
        for name in names:
            at[name] = varied(at[name], rng)
        yield body


def text(body):
    """As JSON.stringify writes it, which Sentry's own example signs."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def requests(make, secret, variants):
    """The file that drive.lua reads; returns it and the length of a body."""
    out, size = [], 0
    for n in range(variants):
        resource, value = make(n)
        body = text(value)
        size = len(body)
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        head = ("POST /webhook HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\nAccept-Encoding: gzip, deflate\r\n"
                "User-Agent: sentry-webhooks/1.0\r\nContent-Type: application/json\r\n"
                f"Request-ID: {uuid.uuid5(uuid.NAMESPACE_URL, str(n)).hex}\r\n"
                f"Sentry-Hook-Resource: {resource}\r\nSentry-Hook-Timestamp: 1790954498\r\n"
                f"Sentry-Hook-Signature: {signature}\r\nContent-Length: {size}\r\n").encode()
        out.append(b"%d %d\n%s%s" % (len(head), len(body), head, body))
    return b"".join(out), size


if __name__ == "__main__":
    import sys
    for name, make in FILES.items():
        with open(f"{sys.argv[1]}/{name}", "wb") as f:
            f.writelines(text(body) + b"\n" for body in others(make, 64))
