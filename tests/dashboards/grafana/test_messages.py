"""The message people get, rendered by Go's own text/template, as Grafana renders it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboards.grafana.messages import CHARACTERS_MAX, template
from dashboards.texts import Language
from ingest.rules import RULES, Rule
from tests.servers import find

pytestmark = pytest.mark.live

Render = Callable[[Language, list[dict[str, Any]]], tuple[str, str]]
SOURCE = Path(__file__).with_name("render.go.txt")


@pytest.fixture(scope="module")
def render(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Render]:
    folder = tmp_path_factory.mktemp("go")
    shutil.copy(SOURCE, folder / "main.go")
    (folder / "go.mod").write_text("module render\n\ngo 1.20\n")
    go = shutil.which("go") or find("go", "install Go 1.20 or later")
    subprocess.run([go, "build", "-o", "render", "."], cwd=folder, check=True)

    def rendered(language: Language, alerts: list[dict[str, Any]]) -> tuple[str, str]:
        given = {
            "template": template(language),
            "data": {"alerts": alerts, "groupLabels": {"site": "pasar", "kind": "waste_container"}},
        }
        done = subprocess.run(
            [folder / "render"], input=json.dumps(given), capture_output=True, text=True, check=True
        )
        title, message, _ = done.stdout.split("\x00")
        return title, message

    yield rendered
    shutil.rmtree(folder)


def alert(rule: Rule, device: str, language: str, status: str = "firing") -> dict[str, Any]:
    return {
        "status": status,
        "labels": {
            "alertname": rule.title.of(language),
            "device": device,
            "severity": rule.severity.value,
        },
        "annotations": {
            "summary": rule.summary.of(language),
            "advice": rule.advice.of(language),
            "since": "2026-11-22 02:10:00 +0000 UTC",
            "value": "96%",
            "runbook_url": f"https://gampong.example/docs/runbook#{rule.runbook}",
        },
    }


@pytest.mark.parametrize("language", list(Language))
def test_five_hundred_alerts_of_any_rule_fit_into_one_telegram_message(
    render: Render, language: Language
) -> None:
    for rule in RULES.values():
        alerts = [alert(rule, f"{n:03d}{'x' * 61}", language.value) for n in range(500)]
        resolved = [
            alert(rule, f"{n:03d}{'y' * 61}", language.value, "resolved") for n in range(500)
        ]
        title, message = render(language, alerts + resolved)
        assert len(message) < CHARACTERS_MAX
        assert len(title) < 256 and "500" in title
        assert "489" in message  # eleven are listed, the others counted


def test_the_worst_comes_first_whatever_came_first(render: Render) -> None:
    mild, bad = RULES["bin_overdue"], RULES["bin_burning"]
    alerts = [alert(mild, f"mild-{n}", "en") for n in range(20)] + [alert(bad, "bin-09", "en")]
    _, message = render(Language.ENGLISH, alerts)
    assert message.index("bin-09") < message.index("mild-0")
    assert "mild-9" in message and "mild-10" not in message
    assert "10 more" in message


def test_a_message_says_what_where_since_when_and_what_to_do(render: Render) -> None:
    rule = RULES["bin_burning"]
    title, message = render(Language.INDONESIAN, [alert(rule, "bin-09", "id")])
    assert title == "AKTIF 1: pasar, waste_container"
    assert f"bin-09: {rule.title.id} 96%, sejak 2026-11-22 02:10 UTC" in message
    assert f"→ {rule.advice.id}" in message
    assert "https://gampong.example/docs/runbook#bin_burning" in message


def test_recovery_is_one_summary(render: Render) -> None:
    rule = RULES["device_silent"]
    alerts = [alert(rule, f"bin-{n:02d}", "en", "resolved") for n in range(30)]
    title, message = render(Language.ENGLISH, alerts)
    assert title == "resolved 30: pasar, waste_container"
    assert "resolved (30): bin-00, bin-01" in message and message.rstrip().endswith("…")
    assert "bin-08" not in message


def test_the_watchs_heartbeat_which_has_no_device_reads_well(render: Render) -> None:
    rule = RULES["watch_silent"]
    one = alert(rule, "", "en")
    del one["labels"]["device"], one["annotations"]["since"], one["annotations"]["value"]
    _, message = render(Language.ENGLISH, [one])
    assert f"🔴 {rule.title.en}\n" in message
    assert "<no value>" not in message
