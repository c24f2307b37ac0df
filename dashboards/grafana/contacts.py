"""Who hears of alerts, and when: contact points, routes, quiet hours. Pure.

A secret is a reference (`$__file{/path}`), which Grafana resolves when it reads files and
`push` resolves when it sends; it never stands in what is built.

Sources of the fields:
https://grafana.com/docs/grafana/latest/alerting/set-up/provision-alerting-resources/file-provisioning/
"""

from __future__ import annotations

from dashboards.grafana.alerts import LABEL
from dashboards.grafana.configuration import GrafanaConfiguration
from dashboards.grafana.messages import MESSAGE, TITLE
from wire.configuration import ConfigurationError

CONTACT = "gampong"
QUIET, NEVER = "gampong-quiet", "gampong-list-only"


def secret(path: str) -> str:
    """A reference to a secret's file."""
    return f"$__file{{{path}}}"


def receivers(configuration: GrafanaConfiguration, source: str) -> list[dict[str, object]]:
    """Every way in which the contact point tells people.

    Raises:
        ConfigurationError: there is none.
    """
    message = f'{{{{ template "{MESSAGE}" . }}}}'
    title = f'{{{{ template "{TITLE}" . }}}}'
    found: list[dict[str, object]] = []
    if configuration.telegram.chat_id:
        found.append(
            {
                "uid": "gampong-telegram",
                "type": "telegram",
                "settings": {
                    "bottoken": secret(configuration.telegram.token_file),
                    "chatid": configuration.telegram.chat_id,
                    "message": message,
                    "parse_mode": "None",
                },
                "disableResolveMessage": False,
            }
        )
    if configuration.email.addresses:
        found.append(
            {
                "uid": "gampong-email",
                "type": "email",
                "settings": {
                    "addresses": ";".join(configuration.email.addresses),
                    "singleEmail": True,
                    "subject": title,
                    "message": message,
                },
                "disableResolveMessage": False,
            }
        )
    if configuration.webhook.url:
        settings: dict[str, object] = {
            "url": configuration.webhook.url,
            "httpMethod": "POST",
            "maxAlerts": "50",
            "title": title,
            "message": message,
        }
        if configuration.webhook.password_file:
            settings["username"] = configuration.webhook.username
            settings["password"] = secret(configuration.webhook.password_file)
        found.append(
            {
                "uid": "gampong-webhook",
                "type": "webhook",
                "settings": settings,
                "disableResolveMessage": False,
            }
        )
    if not found:
        remedy = "Set telegram.chat_id, email.addresses or webhook.url"
        raise ConfigurationError(source, "", "nobody would hear of an alert", remedy)
    return found


def is_quiet(configuration: GrafanaConfiguration) -> bool:
    """Whether there are quiet hours at all."""
    return configuration.quiet.begin != configuration.quiet.end


def route(configuration: GrafanaConfiguration) -> dict[str, object]:
    """Our branch of the policy tree: a message a site and kind; at night only what is critical;
    what is only `info` stands in lists and is sent to nobody."""
    quiet = {"mute_time_intervals": [QUIET]} if is_quiet(configuration) else {}
    return {
        "receiver": CONTACT,
        "object_matchers": [[LABEL, "=", "1"]],
        "group_by": ["site", "kind"],
        "group_wait": "30s",
        "group_interval": "5m",
        "repeat_interval": "12h",
        "routes": [
            {
                "receiver": CONTACT,
                "object_matchers": [["severity", "=", "critical"]],
                "group_by": ["site", "kind"],
                "group_wait": "10s",
                "repeat_interval": "2h",
            },
            {
                "receiver": CONTACT,
                "object_matchers": [["severity", "=", "info"]],
                "mute_time_intervals": [NEVER],
            },
            {
                "receiver": CONTACT,
                "object_matchers": [["severity", "=", "warning"]],
                "group_by": ["site", "kind"],
                **quiet,
            },
        ],
    }


def mute_timings(configuration: GrafanaConfiguration) -> list[dict[str, object]]:
    """Quiet hours in local time, and always. A night crosses midnight, a range may not."""
    begin, end = configuration.quiet.begin, configuration.quiet.end
    always = {"times": [{"start_time": "00:00", "end_time": "24:00"}]}
    timings: list[dict[str, object]] = [{"name": NEVER, "time_intervals": [always]}]
    if not is_quiet(configuration):
        return timings
    if begin < end:
        times = [{"start_time": begin, "end_time": end}]
    else:
        halves = [(begin, "24:00"), ("00:00", end)]
        times = [{"start_time": a, "end_time": b} for a, b in halves if a != b]
    quiet = {"times": times, "location": configuration.timezone}
    return [{"name": QUIET, "time_intervals": [quiet]}, *timings]
