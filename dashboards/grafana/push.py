"""`gampong dashboards push`: the definitions into a running Grafana, through its HTTP API.

In this order, and nothing is written before the fourth: Grafana answers and is new enough;
everything is built and every secret's file is read; all that Grafana holds is read and compared
(`plan.py`); the writes, one by one. Run again it writes nothing. A Grafana that goes away in the
middle leaves what was written: the message says what, and the same command finishes it.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec
import requests
from grafana_client import GrafanaApi
from grafana_client.client import GrafanaClientError, GrafanaException

from dashboards.grafana.alerts import FOLDER_UID
from dashboards.grafana.boards import TAG
from dashboards.grafana.build import Built, Json
from dashboards.grafana.messages import NAME
from dashboards.grafana.plan import Action, Have, InTheWay, plan
from wire.small_file import OpenToOthers, read_secret

OLDEST = (11, 0)
TIMEOUT_S = 20.0
SEARCH_MAX = 5000
_REFERENCE = re.compile(r"\$__file\{([^}]*)\}")
_REMEDIES = {
    401: "the token isn't one of this Grafana's",
    403: "the token needs a service account with the role Admin",
    404: "no such thing there",
    409: "somebody else has changed or provisions it",
    412: "somebody else has changed it meanwhile, or something else has its name",
}


class PushError(Exception):
    """Says what is wrong, what was written until then, and what to do."""


class Target(msgspec.Struct, frozen=True):
    """Which Grafana, and how.

    Args:
        editable: leave what is written editable in Grafana's pages (`X-Disable-Provenance`).
        secrets: send secrets again, after one was rotated.
    """

    url: str
    token: str
    editable: bool = False
    secrets: bool = False


class Grafana:
    """One Grafana's API."""

    def __init__(self, target: Target) -> None:
        parts = urlsplit(target.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise PushError(f"{target.url!r} isn't an address; write it as http://host:3000")
        self._target = target
        self._api = GrafanaApi(
            auth=target.token,
            host=parts.hostname,
            port=parts.port or (443 if parts.scheme == "https" else 80),
            url_path_prefix=f"{parts.path.strip('/')}/" if parts.path.strip("/") else "",
            protocol=parts.scheme,
            timeout=TIMEOUT_S,
        )

    def read(self) -> Have:
        """All that ours is compared with.

        Raises:
            PushError: names what can't be read.
        """
        found = self._list(f"/search?tag={TAG}&type=dash-db&limit={SEARCH_MAX}")
        rules = self._list("/v1/provisioning/alert-rules")
        groups = {str(rule["ruleGroup"]): rule for rule in rules if rule["folderUID"] == FOLDER_UID}
        return Have(
            folder=self._maybe(f"/folders/{FOLDER_UID}"),
            sources=self._list("/datasources"),
            dashboards={},
            found=found,
            contacts=self._list("/v1/provisioning/contact-points"),
            tree=self._maybe("/v1/provisioning/policies") or {},
            timings=self._list("/v1/provisioning/mute-timings"),
            template=self._maybe(f"/v1/provisioning/templates/{NAME}"),
            rules=rules,
            groups={
                name: held
                for name in groups
                if (held := self._maybe(_group_path(name))) is not None
            },
        )

    def dashboards(self, uids: Iterator[str]) -> dict[str, Json]:
        """Those of these dashboards that are there."""
        held = {uid: self._maybe(f"/dashboards/uid/{uid}") for uid in uids}
        return {uid: each for uid, each in held.items() if each is not None}

    def write(self, action: Action) -> None:
        """Do it.

        Raises:
            PushError: Grafana refuses, or is away.
        """
        headers = {"X-Disable-Provenance": "true"} if self._target.editable else {}
        try:
            self._ask(action.method, action.path, action.body, headers)
        except GrafanaClientError as error:
            if action.method == "DELETE" and error.status_code == 404:
                return  # gone already
            raise PushError(_refusal(action.what, error)) from error

    def version(self) -> str:
        """Its version.

        Raises:
            PushError: nobody answers, it isn't ready, or it is no Grafana.
        """
        try:
            health = self._ask("GET", "/health")
        except GrafanaException as error:
            raise PushError(f"{self._target.url} isn't ready: {error}") from error
        if not isinstance(health, dict) or health.get("database") != "ok":
            raise PushError(f"{self._target.url} isn't a Grafana, or its database is away")
        version = health.get("version")
        if not version:  # Grafana can be told to hide it from strangers
            settings = self._maybe("/frontend/settings") or {}
            info: Any = settings.get("buildInfo") or {}
            version = info.get("version")
        return str(version or "")

    def _list(self, path: str) -> list[Json]:
        answer = self._get(path)
        if not isinstance(answer, list):
            raise PushError(f"{self._target.url} answers {path} with something else than a list")
        return answer

    def _maybe(self, path: str) -> Json | None:
        try:
            answer = self._ask("GET", path)
        except GrafanaClientError as error:
            if error.status_code == 404:
                return None
            raise PushError(_refusal(f"reading {path}", error)) from error
        return answer if isinstance(answer, dict) else None

    def _get(self, path: str) -> Any:
        try:
            return self._ask("GET", path)
        except GrafanaClientError as error:
            raise PushError(_refusal(f"reading {path}", error)) from error

    def _ask(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        headers: dict[str, str] | None = None,
    ) -> Any:
        call = getattr(self._api.client, method)
        try:
            return call(path, json=body, headers=headers)
        except requests.RequestException as error:
            away = f"no Grafana at {self._target.url} ({type(error).__name__})"
            raise PushError(f"{away}: start it, or look at the address") from error
        except GrafanaClientError:
            raise
        except GrafanaException as error:
            raise PushError(f"{self._target.url}: {error}") from error


def _group_path(name: str) -> str:
    return f"/v1/provisioning/folder/{FOLDER_UID}/rule-groups/{name}"


def look(grafana: Grafana, whole: Built, *, secrets: bool) -> list[Action]:
    """What has to be written; secrets as references, each of which can be read.

    Raises:
        PushError: nothing was written.
    """
    version = grafana.version()
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if not numbers:
        raise PushError("this Grafana doesn't say its version; is the token an Admin's?")
    if (int(numbers[1]), int(numbers[2])) < OLDEST:
        raise PushError(f"Grafana {version} is too old: these dashboards need 11.0 or later")
    have = grafana.read()
    have = msgspec.structs.replace(have, dashboards=grafana.dashboards(iter(whole.dashboards)))
    try:
        actions = plan(whole, have, secrets=secrets)
    except InTheWay as error:
        raise PushError(f"nothing was written: {error}") from error
    for action in actions:
        with_secrets(action.body)
    return actions


def push(grafana: Grafana, actions: list[Action]) -> None:
    """Write all of it.

    Raises:
        PushError: names what was written until then.
    """
    for done, action in enumerate(actions):
        try:
            grafana.write(msgspec.structs.replace(action, body=with_secrets(action.body)))
        except PushError as error:
            written = ", ".join(each.what for each in actions[:done]) or "nothing"
            again = "run it again when that is mended: it goes on from there"
            raise PushError(f"{error}. Written until then: {written}; {again}") from error


def diff(action: Action) -> Iterator[str]:
    """What a write changes, line by line; secrets as their references."""
    if action.verb != "change" or action.body is None or action.before is None:
        return
    before, after = action.before, action.body
    if "dashboard" in after:
        inner: Any = after["dashboard"]
        after = {key: value for key, value in inner.items() if key != "id"}
    before = {key: before[key] for key in after if key in before}
    lines = difflib.unified_diff(_text(before), _text(after), "in Grafana", "defined", n=1)
    yield from (line.rstrip("\n") for line in lines)


def _text(value: Json) -> list[str]:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False).splitlines()


def with_secrets(value: Any) -> Any:
    """The value with each reference to a secret's file in place of what stands in it.

    Raises:
        PushError: names the file.
    """
    if isinstance(value, dict):
        return {key: with_secrets(each) for key, each in value.items()}
    if isinstance(value, list):
        return [with_secrets(each) for each in value]
    return _REFERENCE.sub(_secret, value) if isinstance(value, str) else value


def _secret(found: re.Match[str]) -> str:
    path = found[1]
    try:
        text = read_secret(path, "its `$__file`").decode().strip()
    except OpenToOthers as error:
        raise PushError(f"{error}; nothing was written") from error
    except (OSError, UnicodeDecodeError) as error:
        raise PushError(f"can't read the secret in {path}: {error}; nothing was written") from error
    if not text:
        raise PushError(f"{path} is empty: put the secret there; nothing was written")
    return text


def _refusal(what: str, error: GrafanaClientError) -> str:
    remedy = _REMEDIES.get(error.status_code, "see Grafana's log")
    return f"{what}: Grafana says {error.status_code} {error}: {remedy}"
