"""What the committed `dashboards.toml` builds, for every test here."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from dashboards.grafana.build import Built, build
from dashboards.grafana.configuration import GrafanaConfiguration
from wire.configuration import decode_toml

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "deploy" / "grafana"
CONFIGURATION = FOLDER / "dashboards.toml"


@cache
def configuration() -> GrafanaConfiguration:
    return decode_toml(CONFIGURATION.read_text(encoding="utf-8"), GrafanaConfiguration, "toml")


@cache
def whole() -> Built:
    return build(configuration(), str(CONFIGURATION))
