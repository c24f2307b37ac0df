"""Grafana's alert rules from ours. Pure.

The watch has judged already: each device's newest value by its own time, `for`, hysteresis, mutes.
So a rule here only reads a level, `rule_state.<rule>`, which is written each minute while it isn't
clear and each hour in any case, and fires at 3 at once.

Nothing fires or ends by absence. Where Grafana's own rules mislead when a site is away:

* a series that disappears counts as resolved after two evaluations:
  `missing_series_evals_to_resolve` is so high that it would have to be missing for a week, longer
  than its bucket keeps it;
* no data and errors keep the last state (`KeepLast`);
* except for the watch's heartbeat, where no data is the alert.

The file format says `keepFiringFor`, but `missing_series_evals_to_resolve`; the HTTP API says
`keep_firing_for`, but `missingSeriesEvalsToResolve` (`api_rule`). Another spelling is dropped
without a word. https://grafana.com/docs/grafana/latest/alerting/set-up/provision-alerting-resources/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dashboards.grafana.ask import SOURCES
from dashboards.grafana.setting import Setting
from ingest.rules import FAMILIES, Level, Rule
from ingest.stores import Bucket

FOLDER_UID = "gampong"
FOLDER = "Gampong"
INTERVAL_S = 60
WEEK_EVALUATIONS = 7 * 24 * 60
LATELY_S = 300
"""What isn't clear is written each minute; what clears, once as 0 and again within the hour. A
longer look back would cost seconds of the database for each rule at 10,000 devices."""

HEARTBEAT_S = 180
EXPRESSION = "__expr__"
LABEL = "gampong"
"""Routes only what is ours, and marks it."""

_SUBJECT = '"device", "gateway", "site", "zone"'
_DASHBOARDS = {
    "waste": "gampong-waste",
    "parking": "gampong-parking",
    "wifi": "gampong-wifi",
}


def rule_uid(rule: Rule) -> str:
    """A rule's uid in Grafana: at most 40 characters."""
    return f"gampong-{rule.id.replace('_', '-')}"


def rule_groups(setting: Setting) -> Iterator[tuple[str, list[dict[str, object]]]]:
    """Each family's name and its rules, in the file format's spelling."""
    for family, rules in FAMILIES.items():
        if rules:
            yield family, [_rule(rule, family, setting) for rule in rules]


def statement(rule: Rule) -> str:
    """What Grafana asks each minute: the level, or whether the watch is there."""
    if rule.no_data_fires:
        return f'SELECT count("uptime_s"::field) FROM "{rule.source}" WHERE $timeFilter'
    return _newest(f'last("{rule.id}"::field)')


def _newest(value: str) -> str:
    return f'SELECT {value} FROM "rule_state" WHERE $timeFilter GROUP BY {_SUBJECT}'


def _rule(rule: Rule, family: str, setting: Setting) -> dict[str, object]:
    language = setting.language.value
    made: dict[str, object] = {
        "uid": rule_uid(rule),
        "title": rule.title.of(language),
        "condition": "C",
        "data": _heartbeat(rule) if rule.no_data_fires else _level(rule),
        "noDataState": "Alerting" if rule.no_data_fires else "KeepLast",
        "execErrState": "KeepLast",
        "for": "0s",
        "keepFiringFor": "0s",
        "labels": {LABEL: "1", "kind": rule.kind, "severity": rule.severity.value},
        "annotations": _annotations(rule, family, setting),
        "isPaused": False,
    }
    if rule.no_data_fires:
        # No series is left to say where: routes group by it.
        return made | {"labels": {**_labels(made), "site": "cloud"}}
    return made | {"missing_series_evals_to_resolve": WEEK_EVALUATIONS}


def _labels(made: dict[str, object]) -> dict[str, str]:
    labels = made["labels"]
    assert isinstance(labels, dict)
    return labels


def _annotations(rule: Rule, family: str, setting: Setting) -> dict[str, str]:
    """What people are told. `.Labels`, not `$labels`: in these files a dollar is the environment's.

    `since` is the reading's own time, so that a fire during an outage says when it was.
    """
    texts = {
        "summary": rule.summary.of(setting.language.value),
        "advice": rule.advice.of(setting.language.value),
        "summary_id": rule.summary.id,
        "summary_en": rule.summary.en,
        "advice_id": rule.advice.id,
        "advice_en": rule.advice.en,
        "runbook_url": f"{setting.runbook_url}#{rule.runbook}",
        "dashboard": _DASHBOARDS.get(family, "gampong-gateways"),
    }
    if not rule.no_data_fires:
        texts["where"] = "{{ .Labels.device }}"
        texts["since"] = "{{ with .Values.E }}{{ humanizeTimestamp .Value }}{{ end }}"
        value = "humanizePercentage .Value" if rule.unit == "%" else "humanize .Value"
        texts["value"] = f"{{{{ with .Values.G }}}}{{{{ {value} }}}}{{{{ end }}}}{_unit(rule)}"
    return texts


def _unit(rule: Rule) -> str:
    return f" {rule.unit}" if rule.unit not in ("", "%") else ""


def _level(rule: Rule) -> list[dict[str, object]]:
    """C is the condition; E and G are what the message says: since when, how much."""
    told = {"type": "gt", "params": [Level.MUTED + 0.5]}
    return [
        _asked("A", statement(rule), LATELY_S),
        _reduced("B", "A"),
        _threshold("C", "B", told),
        _asked("D", _newest(f'last("{rule.id}_since_ms"::field) / 1000'), LATELY_S),
        _reduced("E", "D"),
        _asked("F", _newest(f'last("{rule.id}_value"::field)'), LATELY_S),
        _reduced("G", "F"),
    ]


def _heartbeat(rule: Rule) -> list[dict[str, object]]:
    absent = {"type": "lt", "params": [1]}
    return [
        _asked("A", statement(rule), HEARTBEAT_S),
        _reduced("B", "A"),
        _threshold("C", "B", absent),
    ]


def _asked(ref: str, query: str, span_s: int) -> dict[str, object]:
    source = SOURCES[Bucket.HEALTH]
    model = {
        "refId": ref,
        "datasource": {"type": "influxdb", "uid": source},
        "rawQuery": True,
        "query": query,
        "resultFormat": "time_series",
        "intervalMs": 60_000,
        "maxDataPoints": 43_200,
    }
    span = {"from": span_s, "to": 0}
    return {"refId": ref, "relativeTimeRange": span, "datasourceUid": source, "model": model}


def _reduced(ref: str, of: str) -> dict[str, object]:
    return _expression(
        {
            "refId": ref,
            "type": "reduce",
            "expression": of,
            "reducer": "last",
            "settings": {"mode": "dropNN"},
        }
    )


def _threshold(ref: str, of: str, evaluator: Mapping[str, object]) -> dict[str, object]:
    conditions = [{"evaluator": evaluator}]
    return _expression(
        {"refId": ref, "type": "threshold", "expression": of, "conditions": conditions}
    )


def _expression(model: dict[str, object]) -> dict[str, object]:
    return {
        "refId": model["refId"],
        "relativeTimeRange": {"from": 0, "to": 0},
        "datasourceUid": EXPRESSION,
        "model": {**model, "datasource": {"type": EXPRESSION, "uid": EXPRESSION}},
    }


def api_rule(rule: dict[str, object], group: str) -> dict[str, object]:
    """The same rule as the HTTP API spells it.

    https://grafana.com/docs/grafana/latest/developers/http_api/alerting_provisioning/
    """
    spelled = {"keepFiringFor": "keep_firing_for"}
    spelled["missing_series_evals_to_resolve"] = "missingSeriesEvalsToResolve"
    named = {spelled.get(key, key): value for key, value in rule.items()}
    return named | {"folderUID": FOLDER_UID, "ruleGroup": group, "orgID": 1}
