"""Grafana from the Command Center's own definitions: dashboards, rules, and who hears of them.

    kinds, states, rules -> panels (`panel.py`, one file a dashboard) -> Grafana's own types
    (`draw.py`, through grafana-foundation-sdk) -> files (`build.py`) or the HTTP API (`push.py`)

Everything here is pure but `push.py`, which talks to a Grafana, and `written.py`, which writes
files. A panel's InfluxQL is checked against the kinds before anything is written (`checks.py`).
"""
