"""A Grafana's own tests are collected where one is installed, and only there.

It can't be had from the registries that CI uses. That none was found is said at the end of the run,
so that nobody takes "all green" for "seen in Grafana".
"""

from __future__ import annotations

import shutil

import pytest

GRAFANA = shutil.which("grafana")
collect_ignore = [] if GRAFANA else ["test_real_grafana.py"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not GRAFANA:
        terminalreporter.write_line("no `grafana` on PATH: test_real_grafana.py was not collected")
