"""Each dashboard against Grafana's own published types, oldest and newest: npm's `@grafana/schema`.

It catches wrong types and misspelt keys, not wrong queries. Types and compiler come from npm
(`deploy/grafana/types.sh`), outside of the repository.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.dashboards.grafana.built import ROOT, whole

pytestmark = pytest.mark.live

# JSON has a string where the types have an enumeration of strings.
PLAIN = """
type Plain<T> = T extends string ? `${T}` : T extends number ? number
  : T extends (infer U)[] ? Plain<U>[]
  : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
"""
PANELS = {
    "stat": "StatPanelCfg",
    "timeseries": "TimeSeriesPanelCfg",
    "table": "TablePanelCfg",
    "geomap": "GeomapPanelCfg",
    "state-timeline": "StateTimelinePanelCfg",
}


@pytest.fixture(scope="module")
def schema() -> Path:
    done = subprocess.run([ROOT / "deploy/grafana/types.sh"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return Path(done.stdout.strip().rpartition(" ")[2])


def _compile(schema: Path, folder: Path) -> str:
    options: dict[str, Any] = {
        "strict": True,
        "noEmit": True,
        "module": "esnext",
        "target": "es2022",
        "moduleResolution": "bundler",
        "skipLibCheck": True,
        "types": [],
        "paths": {"*": [f"{schema}/node_modules/*"]},
    }
    configuration = {"compilerOptions": options, "include": ["*.ts"]}
    (folder / "tsconfig.json").write_text(json.dumps(configuration))
    command = [str(schema / "node_modules/.bin/tsc"), "-p", str(folder)]
    return subprocess.run(command, capture_output=True, text=True).stdout


def _typed(release: str, dashboard: dict[str, Any]) -> str:
    """A TypeScript file that is only right if the dashboard is."""
    dashboard = json.loads(json.dumps(dashboard))
    for annotation in dashboard["annotations"]["list"]:
        del annotation["target"]  # a data source's own query: the types know only their frame
    lines = [f'import type {{ Dashboard }} from "{release}";', PLAIN]
    lines.append(f"export const made: Plain<Partial<Dashboard>> = {json.dumps(dashboard)};")
    for number, panel in enumerate(dashboard["panels"]):
        # The oldest release publishes its panels' options without what they are made of.
        if panel["type"] in PANELS and release == "newest":
            kind, name = panel["type"].replace("-", ""), PANELS[panel["type"]]
            path = f"{release}/dist/esm/raw/composable/{kind}/panelcfg/x/{name}_types.gen"
            lines.append(f'import type {{ Options as Options{number} }} from "{path}";')
            options = json.dumps(panel["options"])
            lines.append(
                f"const o{number}: Plain<Partial<Options{number}>> = {options}; o{number};"
            )
    return "\n".join(lines)


@pytest.mark.parametrize("release", ["oldest", "newest"])
def test_every_dashboard_is_of_grafanas_types(schema: Path, tmp_path: Path, release: str) -> None:
    for uid, dashboard in whole().dashboards.items():
        (tmp_path / f"{uid}.ts").write_text(_typed(release, dashboard))
    assert _compile(schema, tmp_path) == ""


def test_a_wrong_type_and_a_misspelt_key_are_seen(schema: Path, tmp_path: Path) -> None:
    dashboard: Any = json.loads(json.dumps(whole().dashboards["gampong-city"]))
    dashboard["refresh"] = 60
    dashboard["panels"][1]["options"]["graphMood"] = "none"
    (tmp_path / "wrong.ts").write_text(_typed("newest", dashboard))
    said = _compile(schema, tmp_path)
    assert "'number' is not assignable to type 'string'" in said
    assert "graphMood" in said
