"""A small server that stands in for Grafana, because none can be had where CI runs.

It keeps to the documented HTTP API in what `gampong dashboards push` uses: uids, provenance and its
header, 404, 409, 412, redacted secrets, versions. It is not Grafana: it renders and evaluates
nothing, and what the documentation doesn't say it may do otherwise. Sources:
https://grafana.com/docs/grafana/latest/developers/http_api/ (dashboard, folder, data_source,
alerting_provisioning, other#health).
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "an-admins-token"
SECRET_KEYS = ("bottoken", "password")
Json = dict[str, Any]


class Refused(Exception):
    """An answer from 400 on."""

    def __init__(self, code: int, message: str, **more: str) -> None:
        super().__init__(message)
        self.code, self.body = code, {"message": message, **more}


class State:
    """What this Grafana holds; tests look and meddle."""

    def __init__(self, version: str = "12.4.0") -> None:
        self.version, self.database = version, "ok"
        self.folders: dict[str, Json] = {}
        self.sources: dict[str, Json] = {}
        self.dashboards: dict[str, Json] = {}
        self.contacts: dict[str, Json] = {}
        self.timings: dict[str, Json] = {}
        self.templates: dict[str, Json] = {}
        self.rules: dict[str, Json] = {}
        self.intervals: dict[str, int] = {}
        self.tree: Json = {
            "receiver": "grafana-default-email",
            "group_by": ["grafana_folder", "alertname"],
        }
        self.writes: list[tuple[str, str]] = []
        self.secrets: list[str] = []
        self.fail_after: int | None = None

    # One method a resource; `body` is None for reading.

    def health(self, method: str, path: str, body: Any, provenance: str) -> Any:
        return {"commit": "0", "database": self.database, "version": self.version}

    def folder(self, method: str, path: str, body: Any, provenance: str) -> Any:
        if method == "GET":
            return _found(self.folders, path.rpartition("/")[2], "folder not found")
        if body["uid"] in self.folders:
            raise Refused(412, "the folder has been changed by someone else")
        self.folders[body["uid"]] = {**body, "id": len(self.folders) + 1, "version": 1}
        return self.folders[body["uid"]]

    def source(self, method: str, path: str, body: Any, provenance: str) -> Any:
        if method == "GET":
            return list(self.sources.values())
        if method == "POST":
            if any(body["name"] == each["name"] for each in self.sources.values()):
                raise Refused(409, "data source with the same name already exists")
            uid = body["uid"]
        else:
            uid = path.rpartition("/")[2]
            _found(self.sources, uid, "Data source not found")
        kept = {key: value for key, value in body.items() if key != "secureJsonData"}
        self.secrets += body.get("secureJsonData", {}).values()
        fields = dict.fromkeys(body.get("secureJsonData", {}), True)
        self.sources[uid] = {**kept, "id": 1, "readOnly": False, "secureJsonFields": fields}
        return {"datasource": self.sources[uid], "message": "Datasource added"}

    def dashboard(self, method: str, path: str, body: Any, provenance: str) -> Any:
        uid = path.rpartition("/")[2]
        if method == "GET":
            return _found(self.dashboards, uid, "Dashboard not found")
        if method == "DELETE":
            _found(self.dashboards, uid, "Dashboard not found")
            return {"title": self.dashboards.pop(uid)["dashboard"]["title"]}
        dashboard, folder = body["dashboard"], body["folderUid"]
        _found(self.folders, folder, "folder not found")
        uid, held = dashboard["uid"], self.dashboards.get(dashboard["uid"])
        if held and not body["overwrite"]:
            stale = "The dashboard has been changed by someone else"
            raise Refused(412, stale, status="version-mismatch")
        for other, each in self.dashboards.items():
            same = each["dashboard"]["title"] == dashboard["title"]
            if same and other != uid and each["meta"]["folderUid"] == folder:
                taken = "A dashboard with the same name in the folder already exists"
                raise Refused(412, taken, status="name-exists")
        version = held["dashboard"]["version"] + 1 if held else 1
        self.dashboards[uid] = {
            "dashboard": {**dashboard, "id": 7, "version": version},
            "meta": {"folderUid": folder, "provisioned": False},
        }
        return {"id": 7, "uid": uid, "status": "success", "version": version}

    def search(self, method: str, path: str, body: Any, provenance: str) -> Any:
        (tag,) = re.findall(r"tag=(\w+)", path)
        return [
            {
                "uid": uid,
                "title": each["dashboard"]["title"],
                "folderUid": each["meta"]["folderUid"],
            }
            for uid, each in self.dashboards.items()
            if tag in each["dashboard"].get("tags", ())
        ]

    def contact(self, method: str, path: str, body: Any, provenance: str) -> Any:
        uid = path.rpartition("/")[2]
        if method == "GET":
            return [_redacted(each) for each in self.contacts.values()]
        if method == "DELETE":
            name = self.contacts.get(uid, {}).get("name", "")
            if len(_named(self.contacts, name)) == 1 and _uses(self.tree, name):
                raise Refused(409, "contact point is currently used by a policy")
            self.contacts.pop(uid, None)
            return None
        if method == "POST":
            uid = body["uid"]
            if uid in self.contacts:
                raise Refused(409, "receiver with this uid already exists")
        else:
            self._provenance(_found(self.contacts, uid, "contact point not found"), provenance)
        self.secrets += [v for k, v in body["settings"].items() if k in SECRET_KEYS]
        self.contacts[uid] = {**body, "uid": uid, "provenance": provenance}
        return self.contacts[uid]

    def timing(self, method: str, path: str, body: Any, provenance: str) -> Any:
        name = path.rpartition("/")[2]
        if method == "GET":
            return list(self.timings.values())
        if method == "DELETE":
            if f'"{name}"' in json.dumps(self.tree):
                raise Refused(409, "mute timing is in use")
            self.timings.pop(name, None)
            return None
        if method == "PUT":
            held = _found(self.timings, name, "mute timing not found")
            self._provenance(held, provenance)
            if body.get("version", held["version"]) != held["version"]:
                raise Refused(409, "provided version doesn't match the current one")
        self.timings[body["name"]] = {**body, "provenance": provenance, "version": _digest(body)}
        return self.timings[body["name"]]

    def template(self, method: str, path: str, body: Any, provenance: str) -> Any:
        name = path.rpartition("/")[2]
        if method == "GET":
            return _found(self.templates, name, "template not found")
        held = self.templates.get(name)
        if held:
            self._provenance(held, provenance)
            if body.get("version", held["version"]) != held["version"]:
                raise Refused(409, "provided version doesn't match the current one")
        text = body["template"].strip()
        made = {"name": name, "template": text, "provenance": provenance}
        self.templates[name] = {**made, "version": _digest(body["template"])}
        return self.templates[name]

    def policies(self, method: str, path: str, body: Any, provenance: str) -> Any:
        if method == "GET":
            return self.tree
        self._provenance(self.tree, provenance)
        for receiver in _receivers(body):
            known = {each["name"] for each in self.contacts.values()} | {"grafana-default-email"}
            if receiver not in known:
                raise Refused(400, f"receiver {receiver!r} does not exist")
        for timing in _timings(body):
            if timing not in self.timings:
                raise Refused(400, f"mute time interval {timing!r} does not exist")
        self.tree = {**body, "provenance": provenance}
        return {"message": "policies updated"}

    def rule(self, method: str, path: str, body: Any, provenance: str) -> Any:
        if method == "GET":
            return list(self.rules.values())
        self.rules.pop(path.rpartition("/")[2], None)
        return None

    def group(self, method: str, path: str, body: Any, provenance: str) -> Any:
        folder, name = re.findall(r"folder/([^/]+)/rule-groups/([^/]+)$", path)[0]
        own = [r for r in self.rules.values() if (r["folderUID"], r["ruleGroup"]) == (folder, name)]
        if method == "GET":
            if not own:
                raise Refused(404, "rule group not found")
            return {
                "title": name,
                "folderUid": folder,
                "interval": self.intervals.get(name, 60),
                "rules": own,
            }
        _found(self.folders, folder, "folder not found")
        for rule in own:
            self._provenance(rule, provenance)
            del self.rules[rule["uid"]]
        for rule in body["rules"]:
            if rule["uid"] in self.rules:
                raise Refused(409, "rule with this uid exists in another group")
            kept = {**rule, "id": len(self.rules) + 1, "provenance": provenance}
            if self.version.startswith("11."):  # not known yet, and dropped
                kept.pop("missingSeriesEvalsToResolve", None)
                kept.pop("keep_firing_for", None)
            self.rules[rule["uid"]] = {**kept, "updated": "2026-11-22T00:00:00Z"}
        self.intervals[name] = body["interval"]
        return body

    def _provenance(self, held: Json, provenance: str) -> None:
        """What a file has made can't be changed here; what the API has made can."""
        if held.get("provenance") == "file":
            raise Refused(409, "cannot change provenance from 'file' to 'api'")


def _found(table: dict[str, Json], key: str, message: str) -> Json:
    if key not in table:
        raise Refused(404, message)
    return table[key]


def _named(table: dict[str, Json], name: str) -> list[Json]:
    return [each for each in table.values() if each["name"] == name]


def _digest(value: Any) -> str:
    return f"{hash(json.dumps(value, sort_keys=True)) & 0xFFFFFFFF:x}"


def _redacted(contact: Json) -> Json:
    hidden = {k: "[REDACTED]" if k in SECRET_KEYS else v for k, v in contact["settings"].items()}
    return {**contact, "settings": hidden}


def _receivers(branch: Json) -> Iterator[str]:
    if branch.get("receiver"):
        yield branch["receiver"]
    for each in branch.get("routes") or ():
        yield from _receivers(each)


def _uses(tree: Json, receiver: str) -> bool:
    return receiver in _receivers(tree)


def _timings(branch: Json) -> Iterator[str]:
    yield from branch.get("mute_time_intervals") or ()
    for each in branch.get("routes") or ():
        yield from _timings(each)


_ROUTES = (
    (r"/api/health", "health"),
    (r"/api/folders(/[^/]+)?", "folder"),
    (r"/api/datasources(/uid/[^/]+)?", "source"),
    (r"/api/dashboards/(db|uid/[^/]+)", "dashboard"),
    (r"/api/search\?.*", "search"),
    (r"/api/v1/provisioning/contact-points(/[^/]+)?", "contact"),
    (r"/api/v1/provisioning/mute-timings(/[^/]+)?", "timing"),
    (r"/api/v1/provisioning/templates/[^/]+", "template"),
    (r"/api/v1/provisioning/policies", "policies"),
    (r"/api/v1/provisioning/alert-rules(/[^/]+)?", "rule"),
    (r"/api/v1/provisioning/folder/[^/]+/rule-groups/[^/]+", "group"),
)


class _Handler(BaseHTTPRequestHandler):
    state: State

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        try:
            code, answer = 200, self._answer(body)
        except Refused as refused:
            code, answer = refused.code, refused.body
        if answer is None and code == 200:
            code = 204
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        said = b"" if answer is None else json.dumps(answer).encode()
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def _answer(self, body: Any) -> Any:
        state, path = self.state, self.path
        open_ = path == "/api/health"
        if not open_ and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Refused(401, "Invalid API key")
        if self.command != "GET":
            if state.fail_after is not None and len(state.writes) >= state.fail_after:
                raise Refused(503, "the database is away")
            state.writes.append((self.command, path))
        disabled = self.headers.get("X-Disable-Provenance") == "true"
        for pattern, name in _ROUTES:
            if re.fullmatch(pattern, path):
                provenance = "" if disabled else "api"
                return getattr(state, name)(self.command, path, body, provenance)
        raise Refused(404, f"no such route: {path}")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the terminal."""


for _method in ("GET", "POST", "PUT", "DELETE"):
    setattr(_Handler, f"do_{_method}", _Handler._serve)


@contextmanager
def grafana_stand_in(state: State) -> Iterator[str]:
    """Its address while it serves."""
    handler = type("Handler", (_Handler,), {"state": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
