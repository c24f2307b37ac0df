"""Alert rules: what is judged, how, and what people are told. Pure: no IO, no clock.

`RULES` is the list that everything else is made from: the watch judges by it
(`ingest/alerts`), Grafana's rules and panels are built from it (`dashboards`), messages use its
texts, and docs/runbook.md has a section for each, which tests see to.
"""

from __future__ import annotations

from ingest.rules import cloud, gateways, parking, waste, water, wifi
from ingest.rules.rule import Level, Rule, Severity, Subject, Text

FAMILIES: dict[str, tuple[Rule, ...]] = {
    "waste": waste.RULES,
    "parking": parking.RULES,
    "wifi": wifi.RULES,
    "water": water.RULES,
    "gateways": gateways.RULES,
    "cloud": cloud.RULES,
}
"""Family → its rules."""

RULES: dict[str, Rule] = {rule.id: rule for rules in FAMILIES.values() for rule in rules}
"""Every rule by its id."""

__all__ = ["FAMILIES", "RULES", "Level", "Rule", "Severity", "Subject", "Text"]
