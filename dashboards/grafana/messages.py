"""The message people get, as a template for Grafana's notifications. Pure.

One message a site and kind (the routes group so): the worst first, what to do, links. Telegram
drops a message over 4,096 characters without a word (seen at 35 alerts), so at most `LINES` alerts
are listed, each cut to a fixed length, and the rest is counted. Templates can't count: a string
grows by a dot for each line, and its length is asked.
"""

from __future__ import annotations

from dashboards.texts import Language

NAME = "gampong"
TITLE, MESSAGE = "gampong.title", "gampong.message"
CHARACTERS_MAX = 4096
LINES = 11
RESOLVED_LINES = 8
_NAME_LENGTH, _TITLE_LENGTH, _SINCE_LENGTH, _ADVICE_LENGTH = 64, 48, 16, 120
SEVERITIES = ("critical", "warning", "info")

_WORDS = {
    "firing": ("FIRING", "AKTIF"),
    "resolved": ("resolved", "selesai"),
    "since": ("since", "sejak"),
    "more": ("more", "lagi"),
    "runbook": ("Runbook", "Panduan"),
}


def template(language: Language) -> str:
    """The template's whole text: a title and a message."""
    words = {
        key: pair[0] if language is Language.ENGLISH else pair[1] for key, pair in _WORDS.items()
    }
    return "\n".join([_title(words), _message(words)]) + "\n"


def _title(words: dict[str, str]) -> str:
    return (
        f'{{{{ define "{TITLE}" }}}}'
        "{{ if .Alerts.Firing }}"
        f"{words['firing']} {{{{ len .Alerts.Firing }}}}"
        "{{ else }}"
        f"{words['resolved']} {{{{ len .Alerts.Resolved }}}}"
        "{{ end }}"
        '{{ with .GroupLabels.site }}: {{ printf "%.64s" . }}{{ end }}'
        '{{ with .GroupLabels.kind }}, {{ printf "%.64s" . }}{{ end }}'
        "{{ end }}"
    )


def _message(words: dict[str, str]) -> str:
    listed = "\n".join(_of_severity(severity, words) for severity in SEVERITIES)
    return f"""{{{{ define "{MESSAGE}" }}}}{{{{ template "{TITLE}" . }}}}
{{{{- $dots := "" }}}}{{{{ $all := .Alerts.Firing }}}}
{listed}
{{{{- if gt (len $all) {LINES} }}}}
… {{{{ len (slice $all {LINES}) }}}} {words["more"]}
{{{{- end }}}}
{{{{- if .Alerts.Resolved }}}}
{words["resolved"]} ({{{{ len .Alerts.Resolved }}}}):
{{{{- range $i, $a := .Alerts.Resolved }}}}{{{{ if lt $i {RESOLVED_LINES} }}}}
{{{{- if $i }}}},{{{{ end }}}} {{{{ printf "%.{_NAME_LENGTH}s" $a.Labels.device }}}}
{{{{- end }}}}{{{{ end }}}}
{{{{- if gt (len .Alerts.Resolved) {RESOLVED_LINES} }}}} …{{{{ end }}}}
{{{{- end }}}}
{{{{- with $all }}}}
{words["runbook"]}: {{{{ printf "%.200s" (index (index . 0).Annotations "runbook_url") }}}}
{{{{- end }}}}
{{{{ end }}}}"""


def _of_severity(severity: str, words: dict[str, str]) -> str:
    """The alerts of one severity, while there is room."""
    return f"""{{{{- range $all }}}}{{{{ if eq .Labels.severity "{severity}" }}}}
{{{{- if lt (len $dots) {LINES} }}}}{{{{ $dots = printf "%s." $dots }}}}
{_mark(severity)} \
{{{{ with .Labels.device }}}}{{{{ printf "%.{_NAME_LENGTH}s" . }}}}: {{{{ end }}}}\
{{{{ printf "%.{_TITLE_LENGTH}s" .Labels.alertname }}}}\
{{{{ with .Annotations.value }}}} {{{{ printf "%.12s" . }}}}{{{{ end }}}}\
{{{{ with .Annotations.since }}}}, {words["since"]} \
{{{{ printf "%.{_SINCE_LENGTH}s" . }}}} UTC{{{{ end }}}}
  → {{{{ printf "%.{_ADVICE_LENGTH}s" .Annotations.advice }}}}
{{{{- end }}}}{{{{ end }}}}{{{{ end }}}}"""


def _mark(severity: str) -> str:
    return {"critical": "🔴", "warning": "🟠"}.get(severity, "🔵")
