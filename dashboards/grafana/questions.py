"""Every panel's question, asked of the database itself: what is wrong, and what has no answer yet.

Grafana's macros are put in as Grafana does: `$timeFilter`, `$__interval`, `${__to}`, and variables
with `:regex`, which escapes what is odd in a value.
"""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from dashboards.grafana.build import Built, Json
from dashboards.grafana.checks import targets
from wire.small_file import OpenToOthers, read_secret

HTTP_S = 30.0
DAY_MS = 86_400_000
ALL = "$__all"
_ODD = re.compile(r"[\\^$*+?.()|\[\]{}/]")
_VARIABLE = re.compile(r"\$\{(\w+):regex\}")


class Away(Exception):
    """The database can't be asked; says why and what to do."""


class Screen(msgspec.Struct, frozen=True):
    """What somebody looks at: a range of time, the length of a step, the variables' values."""

    start_ms: int
    stop_ms: int
    step: str = "1m"
    chosen: dict[str, tuple[str, ...]] = {}


def expand(text: str, screen: Screen) -> str:
    """The statement that Grafana would send."""

    def value(found: re.Match[str]) -> str:
        values = screen.chosen.get(found[1], (ALL,))
        if ALL in values:
            return ".*"
        return _regex(values)

    text = _VARIABLE.sub(value, text)
    span = f"time >= {screen.start_ms}ms and time <= {screen.stop_ms}ms"
    text = text.replace("$timeFilter", span).replace("$__interval", screen.step)
    return text.replace("${__to}", str(screen.stop_ms)).replace("${__from}", str(screen.start_ms))


def _regex(values: Sequence[str]) -> str:
    escaped = [_ODD.sub(r"\\\g<0>", value) for value in values]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def ask_all(whole: Built, url: str, token_file: str, site: str) -> list[str]:
    """What the database finds wrong, and what it has no answer to.

    Raises:
        Away: nobody answers, or the token isn't taken.
    """
    token = _token(token_file)
    names = {str(source["uid"]): _database(source) for source in whole.sources}
    now_ms = time.time_ns() // 1_000_000
    chosen: dict[str, tuple[str, ...]] = {"site": (site,)} if site else {}
    screen = Screen(now_ms - DAY_MS, now_ms, "5m", chosen)
    if site and not _has_site(url, token, names["gampong-health"], site):
        return [f"no site {site!r} in the database: look at its spelling, or start gampong watch"]
    found = []
    for uid, dashboard in whole.dashboards.items():
        for title, target in targets(dashboard):
            database = names[target["datasource"]["uid"]]
            rows, problem = _ask(url, token, database, expand(target["query"], screen))
            if problem:
                found.append(f"{uid}, {title}: {problem}")
            elif not rows and not may_be_empty(target):
                found.append(f"{uid}, {title}: no answer in 24 hours from {database}")
    return found


def may_be_empty(target: Json) -> bool:
    """Whether no answer is good news: alerts, gateways that came back."""
    text = str(target["query"])
    return '"rule_state"' in text or bool(target.get("fromAnnotations"))


def _has_site(url: str, token: str, database: str, site: str) -> bool:
    query = 'SHOW TAG VALUES FROM "device_registry" WITH KEY = "site"'
    rows, problem = _ask(url, token, database, query)
    if problem:
        raise Away(problem)
    return any(site in row for row in rows)


def _database(source: Json) -> str:
    data: Any = source["jsonData"]
    return str(data["dbName"])


def _token(file: str) -> str:
    try:
        return read_secret(file, "--token-file").decode("ascii").strip()
    except OpenToOthers as error:
        raise Away(str(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise Away(f"can't read the token in {file!r} ({error}); give --token-file") from error


def _ask(url: str, token: str, database: str, text: str) -> tuple[list[list[Any]], str]:
    """The rows, or what the database says is wrong."""
    query = urllib.parse.urlencode({"db": database, "q": text, "epoch": "ms"})
    request = urllib.request.Request(f"{url.rstrip('/')}/query?{query}")
    request.add_header("Authorization", f"Token {token}")
    try:
        with urllib.request.urlopen(request, timeout=HTTP_S) as response:
            answer = json.loads(response.read())
    except urllib.error.HTTPError as error:
        if error.code == 401:
            raise Away(f"InfluxDB at {url} doesn't take this token: use the reading one") from error
        said = error.read(300).decode(errors="replace").strip()
        return [], f"InfluxDB says {error.code} {said}; run gampong ingest setup"
    except (OSError, ValueError) as error:
        raise Away(f"no InfluxDB at {url} ({error}); start it, or look at the address") from error
    return list(_rows(answer)), next(_problems(answer), "")


def _rows(answer: Json) -> Iterator[list[Any]]:
    results: Any = answer.get("results") or []
    for result in results:
        for series in result.get("series") or ():
            yield from series["values"]


def _problems(answer: Json) -> Iterator[str]:
    results: Any = answer.get("results") or []
    for result in results:
        if result.get("error"):
            yield f"InfluxDB: {result['error']}; run gampong ingest setup if something is missing"
