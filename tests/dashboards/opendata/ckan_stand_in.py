"""A small server that keeps to CKAN's action API for one dataset: no CKAN can be had here.

What it does follows CKAN's source (ckanext/datastore/logic/action.py, backend/postgres.py,
ckan/views/api.py at 2dbe2c1, August 2026): the envelope and statuses of answers; `datastore_create`
with a resource or a resource_id; `datastore_upsert` by primary key, in one transaction, which
writes only the fields that a record has and refuses fields that the table hasn't, or a record
without its key; timestamps given back as `2026-08-01T05:00:00`; unknown parameters refused.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "an editor's token"
DATASET = "kota-sensor"

KNOWN = {
    "package_show": {"id"},
    "datastore_create": {
        *("resource_id", "resource", "force", "aliases", "fields", "records", "primary_key"),
        *("indexes", "triggers", "calculate_record_count"),
    },
    "datastore_upsert": {
        "resource_id", "force", "records", "method", "calculate_record_count", "dry_run",
    },
    "datastore_search": {
        *("resource_id", "id", "filters", "q", "distinct", "plain", "language", "limit", "offset"),
        *("fields", "sort", "include_total", "records_format"),
    },
}  # fmt: skip


class Wrong(Exception):
    """An answer that isn't 200: status, CKAN's `__type`, what is wrong."""

    def __init__(self, status: int, type_: str, **what: Any) -> None:
        self.status, self.error = status, {"__type": type_, **what}
        super().__init__(type_)


class Table:
    """One datastore table."""

    def __init__(self) -> None:
        self.columns: dict[str, str] = {}
        self.key: list[str] = []
        self.rows: dict[tuple[Any, ...], dict[str, Any]] = {}


class Portal:
    """The whole of it. `failing` answers that many upserts with a proxy's 502 first; `calls` counts
    actions; `read_only` resources need `force`."""

    def __init__(self) -> None:
        self.resources: dict[str, str] = {}
        self.tables: dict[str, Table] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.fail_upserts_after: int | None = None
        self._upserts = 0

    def rows(self, name: str) -> list[dict[str, Any]]:
        """A resource's records by key."""
        table = self.tables[self.resources[name]]
        return [table.rows[key] for key in sorted(table.rows)]

    def act(self, action: str, asked: dict[str, Any], token: str) -> Any:
        self.calls.append((action, asked))
        if action not in KNOWN:
            raise Wrong(400, "Bad Request", message=f"Action name not known: {action}")
        if unknown := asked.keys() - KNOWN[action]:
            raise Wrong(409, "Validation Error", __junk=sorted(unknown))
        if action.startswith("datastore_") and action != "datastore_search" and token != TOKEN:
            raise Wrong(403, "Authorization Error", message="Access denied")
        return getattr(self, f"_{action}")(asked)

    def _package_show(self, asked: dict[str, Any]) -> Any:
        if asked.get("id") != DATASET:
            raise Wrong(404, "Not Found Error", message="Not found")
        named = [{"id": id_, "name": name} for name, id_ in self.resources.items()]
        return {"id": "1", "name": DATASET, "resources": named}

    def _datastore_create(self, asked: dict[str, Any]) -> Any:
        if ("resource" in asked) == ("resource_id" in asked):
            raise Wrong(409, "Validation Error", resource=["one of resource and resource_id"])
        if "resource" in asked:
            if asked["resource"].get("package_id") != DATASET:
                raise Wrong(404, "Not Found Error", message="Not found")
            id_ = f"00000000-0000-0000-0000-{len(self.resources):012}"
            self.resources[asked["resource"]["name"]] = id_
        else:
            id_ = asked["resource_id"]
            if id_ not in self.resources.values():
                raise Wrong(404, "Not Found Error", message="Not found")
        table = self.tables.setdefault(id_, Table())
        for field in asked.get("fields", []):
            if field["id"].startswith("_") or '"' in field["id"]:
                raise Wrong(409, "Validation Error", fields=[f"{field['id']} is not valid"])
            table.columns.setdefault(field["id"], field.get("type", "text"))
        if "primary_key" in asked:
            table.key = asked["primary_key"]
        return {"resource_id": id_, "fields": asked.get("fields"), "method": "insert"}

    def _datastore_upsert(self, asked: dict[str, Any]) -> Any:
        table = self._table(asked)
        self._upserts += 1
        if self.fail_upserts_after is not None and self._upserts > self.fail_upserts_after:
            raise Wrong(502, "")
        rows = {key: dict(row) for key, row in table.rows.items()}
        for record in asked["records"]:
            if missing := [name for name in table.key if name not in record]:
                raise Wrong(409, "Validation Error", key=[f"fields {missing} are missing"])
            if unknown := [name for name in record if name not in table.columns]:
                raise Wrong(409, "Validation Error", fields=[f"fields {unknown} do not exist"])
            typed = {name: self._typed(table.columns[name], v) for name, v in record.items()}
            key = tuple(typed[name] for name in table.key)
            rows.setdefault(key, dict.fromkeys(table.columns)).update(typed)
        table.rows = rows  # all of a call, or nothing
        return {"resource_id": asked["resource_id"], "method": "upsert"}

    def _datastore_search(self, asked: dict[str, Any]) -> Any:
        table = self._table(asked)
        names = asked.get("fields") or ["_id", *table.columns]
        rows = [table.rows[key] for key in sorted(table.rows)]
        if "sort" in asked:
            by, _, way = asked["sort"].partition(" ")
            rows = sorted(rows, key=lambda row: row[by], reverse=way == "desc")
        rows = rows[: asked.get("limit", 100)]
        records = [{name: row.get(name) for name in names} for row in rows]
        typed = [{"id": name, "type": table.columns.get(name, "int")} for name in names]
        return {"fields": typed, "records": records, "limit": asked.get("limit", 100)}

    def _table(self, asked: dict[str, Any]) -> Table:
        table = self.tables.get(asked.get("resource_id", ""))
        if table is None:
            raise Wrong(404, "Not Found Error", message="Resource was not found")
        return table

    def _typed(self, type_: str, value: Any) -> Any:
        try:
            if value is None or type_ == "text":
                return value
            if type_ == "timestamp":
                return datetime.fromisoformat(value).strftime("%Y-%m-%dT%H:%M:%S")
            return {"int": int, "float": float}[type_](value)
        except (TypeError, ValueError) as error:
            why = f"invalid input syntax for {type_}"
            raise Wrong(409, "Validation Error", records=[why]) from error


@contextmanager
def portal(port: int = 0, standing: Portal | None = None) -> Iterator[tuple[Portal, str]]:
    """It serves on 127.0.0.1 until the end of the block; its address. `standing` serves what was
    there before."""
    state = standing or Portal()

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            action = self.path.rpartition("/")[2]
            status, told = 200, b""
            try:
                result = state.act(action, asked, self.headers.get("Authorization", ""))
                told = json.dumps({"help": self.path, "success": True, "result": result}).encode()
            except Wrong as wrong:
                status = wrong.status
                said = {"help": self.path, "success": False, "error": wrong.error}
                told = b"<html>Bad Gateway</html>" if status == 502 else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield state, f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
