"""The table of what needs somebody, worst first: from `rule_state`, which the watch has judged."""

from __future__ import annotations

from dashboards.grafana.ask import LATELY, PLACE, Ask
from dashboards.grafana.palette import BAD, GREY, POOR, SKY
from dashboards.grafana.panel import Join, Look, Panel, Shown, Words
from ingest.rules import RULES, Level
from ingest.stores import Bucket

_COLUMNS = ("worst_severity", "worst", "worst_level", "worst_since_ms")

_SEVERITIES = {
    "3": Shown(Words("critical", "genting"), BAD),
    "2": Shown(Words("warning", "peringatan"), POOR),
    "1": Shown(Words("info", "info"), SKY),
}
_LEVELS = {
    str(Level.PENDING.value): Shown(Words("soon", "segera"), GREY),
    str(Level.MUTED.value): Shown(Words("muted", "dibisukan"), GREY),
    str(Level.TOLD.value): Shown(Words("told", "dikabarkan"), BAD),
}


def attention() -> Ask:
    """Everything that isn't clear: one row a bin, bay, zone, gateway or ingestor.

    What isn't clear is written each minute, what clears once as 0: the last minutes hold it all.
    """
    inner = ", ".join(f'"{name}"::field AS "{name}"' for name in _COLUMNS)
    outer = ", ".join(f'"{name}"' for name in _COLUMNS)
    group = 'GROUP BY "device", "site", "zone"'
    text = (
        f'SELECT {outer} FROM (SELECT {inner} FROM "rule_state" WHERE {LATELY} AND {PLACE}'
        f' {group} ORDER BY time DESC LIMIT 1) WHERE "worst_level" > 0 {group} ORDER BY time DESC'
    )
    return Ask(Bucket.HEALTH, "rule_state", text)


def attention_table(width: int, height: int) -> Panel:
    """The table."""
    return Panel(
        title=Words("What needs attention", "Yang perlu diperhatikan"),
        about=Words(
            "Each thing once, with its worst rule: as the watch has judged it, by each reading's"
            " own time. Muted: its gateway is offline, it is in maintenance or acknowledged.",
            "Tiap hal sekali, dengan aturan terberat, menurut waktu tiap bacaan. Dibisukan:"
            " gateway terputus, dalam perawatan atau sudah ditangani.",
        ),
        look=Look.TABLE,
        asks=(attention(),),
        width=width,
        height=height,
        join=Join(
            by="",
            columns={
                "device": Words("what", "apa"),
                "worst": Words("rule", "aturan"),
                "worst_severity": Words("severity", "tingkat"),
                "worst_level": Words("told", "status"),
                "worst_since_ms": Words("since", "sejak"),
                "site": Words("site", "lokasi"),
                "zone": Words("zone", "zona"),
            },
            sort="worst_severity",
            descending=True,
        ),
        units={"worst_since_ms": "dateTimeFromNow"},
        mapped={
            "worst": {
                rule.id: Shown(Words(rule.title.en, rule.title.id), "") for rule in RULES.values()
            },
            "worst_severity": _SEVERITIES,
            "worst_level": _LEVELS,
        },
        runbook="worst",
        empty=Words("nothing told in three minutes", "tidak ada kabar dalam tiga menit"),
    )
