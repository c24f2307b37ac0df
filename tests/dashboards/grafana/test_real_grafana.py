"""On a real Grafana: provisioned from files, every panel's query through its API, a rule that fires
and resolves, a push repeated without a change, a rule removed.

Collected only where `grafana` is on PATH (`conftest.py`).
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.queries_city import make_buckets
from dashboards.grafana.build import DASHBOARDS_PATH, build
from dashboards.grafana.checks import targets
from dashboards.grafana.push import Grafana, Target, look, push
from dashboards.grafana.questions import Screen, expand
from dashboards.grafana.written import write
from ingest.stores import Bucket
from tests.dashboards.grafana.built import configuration
from tests.dashboards.grafana.expected import span
from tests.dashboards.grafana.test_questions import fill
from tests.dashboards.grafana.week import MINUTE_MS, Week
from tests.secret_file import write_secret
from tests.servers import Influxd, Server, find

pytestmark = pytest.mark.live

WAIT_S = 180.0


class RealGrafana(Server):
    """A Grafana with its own data folder, the built provisioning in it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.program = find("grafana", "install Grafana 11 or later")
        self.url = f"http://{self.host}:{self.port}"

    def command(self) -> list[str]:
        home = Path(self.program).resolve().parents[1]
        settings = {
            "server.http_addr": self.host,
            "server.http_port": str(self.port),
            "paths.data": str(self.folder / "data"),
            "paths.provisioning": str(self.folder / "provisioning"),
            "analytics.reporting_enabled": "false",
            "analytics.check_for_updates": "false",
            "unified_alerting.min_interval": "10s",
        }
        words = [f"cfg:{key}={value}" for key, value in settings.items()]
        return [self.program, "server", f"--homepath={home}", *words]

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/api/health", timeout=2) as answer:
                return bool(json.loads(answer.read())["database"] == "ok")
        except (OSError, ValueError):
            return False

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"{self.url}{path}", json.dumps(body).encode() if body else None, method=method
        )
        request.add_header("Content-Type", "application/json")
        key = base64.b64encode(b"admin:admin").decode()
        request.add_header("Authorization", f"Basic {key}")
        with urllib.request.urlopen(request, timeout=30) as answer:
            said = answer.read()
        return json.loads(said) if said else None


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory, request: Any) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("real")
    with Influxd(folder / "influxd") as influxd:
        week = Week(request.config.option.seed, time.time_ns() // 1_000_000)
        asyncio.run(fill(make_buckets(influxd, folder), week.lines()))
        write_secret(folder / "telegram.token", "1:x")
        write_secret(folder / "webhook.password", "x")
        own = configuration()
        own = msgspec.structs.replace(
            own,
            influx=msgspec.structs.replace(
                own.influx, url=influxd.url, token_file=str(folder / "token")
            ),
            telegram=msgspec.structs.replace(
                own.telegram, token_file=str(folder / "telegram.token")
            ),
            webhook=msgspec.structs.replace(
                own.webhook, password_file=str(folder / "webhook.password")
            ),
        )
        yield folder, influxd, week, build(own, "toml")
    shutil.rmtree(folder)


def wait_until(true: Any) -> None:
    """Asked again and again: Grafana evaluates each minute."""
    deadline, pause = time.monotonic() + WAIT_S, threading.Event()
    while not true():
        assert time.monotonic() < deadline, "waited too long"
        pause.wait(1.0)


def state_of(grafana: RealGrafana, title: str) -> set[str]:
    """The states of a rule's alerts, whose device is bin-03."""
    answer = grafana.ask("GET", "/api/prometheus/grafana/api/v1/rules")
    return {
        alert["state"]
        for group in answer["data"]["groups"]
        for rule in group["rules"]
        if rule["name"] == title
        for alert in rule.get("alerts") or ()
        if alert["labels"].get("device") == "bin-03"
    }


def test_provisioned_from_files_every_panel_answers_and_a_rule_fires_and_resolves(
    city: Any, tmp_path: Path
) -> None:
    _, influxd, week, whole = city
    folder = tmp_path / "grafana"
    list(write(whole, folder))
    provider = folder / "provisioning/dashboards/gampong.yaml"
    provider.write_text(provider.read_text().replace(DASHBOARDS_PATH, str(folder / "dashboards")))
    with RealGrafana(folder) as grafana:
        wait_until(lambda: len(grafana.ask("GET", "/api/search?tag=gampong")) == 6)
        for uid, dashboard in whole.dashboards.items():
            assert grafana.ask("GET", f"/api/dashboards/uid/{uid}")["meta"]["provisioned"]
            for title, target in targets(dashboard):
                if target.get("fromAnnotations"):
                    continue
                query = {**target, "query": expand(target["query"], Screen(*span(week), "5m"))}
                asked = {"queries": [query], "from": str(span(week)[0]), "to": str(span(week)[1])}
                answer = grafana.ask("POST", "/api/ds/query", asked)
                frames = answer["results"][target["refId"]]["frames"]
                assert frames and frames[0]["data"]["values"], (uid, title)
        title = next(
            str(rule["title"])
            for rules in whole.groups.values()
            for rule in rules
            if rule["uid"] == "gampong-bin-full"
        )
        wait_until(lambda: "Alerting" in state_of(grafana, title))
        head = "rule_state,device=bin-03,gateway={},site={},zone={}"
        device = next(each for each in week.devices if each.name == "bin-03")
        place = head.format(device.gateway, device.site, device.zone)
        cleared = f"{place} bin_full=0i {time.time_ns() // 10**6 // MINUTE_MS * MINUTE_MS}"
        influxd.write(cleared, Bucket.HEALTH.value)
        wait_until(lambda: "Alerting" not in state_of(grafana, title))


def test_pushed_twice_nothing_changes_and_a_rule_taken_out_goes(city: Any, tmp_path: Path) -> None:
    *_, whole = city
    with RealGrafana(tmp_path / "grafana") as grafana:
        account = {"name": "gampong", "role": "Admin"}
        number = grafana.ask("POST", "/api/serviceaccounts", account)["id"]
        token = grafana.ask("POST", f"/api/serviceaccounts/{number}/tokens", {"name": "t"})["key"]
        api = Grafana(Target(grafana.url, token))
        push(api, look(api, whole, secrets=False))
        assert look(api, whole, secrets=False) == []
        groups = {name: list(rules) for name, rules in whole.groups.items()}
        gone = groups["waste"].pop()
        push(api, look(api, msgspec.structs.replace(whole, groups=groups), secrets=False))
        with pytest.raises(urllib.error.HTTPError, match="404"):
            grafana.ask("GET", f"/api/v1/provisioning/alert-rules/{gone['uid']}")
        assert grafana.ask("GET", "/api/v1/provisioning/alert-rules")
