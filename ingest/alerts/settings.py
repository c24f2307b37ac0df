"""The `[alerts]` table of `ingest.toml`: limits of one's own, quiet hours, and who is told.

Secrets are files. Defaults stand here only; `check_alerts` finds what can be found before any
connection.
"""

from __future__ import annotations

import re
from datetime import time
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ingest.rules import RULES, Severity
from ingest.rules.standing import Hours, Limit
from ingest.stores.configuration import is_file
from wire.configuration import Configuration, ConfigurationError
from wire.small_file import check_secret

_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


class Receiver(Configuration, frozen=True, kw_only=True):
    """What every receiver has: of which sites and severities it is told; empty is all."""

    sites: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = ()


class Telegram(Receiver, frozen=True, kw_only=True):
    """A bot and a chat. `token_file` holds what BotFather gave."""

    chat: str
    token_file: str
    api_url: str = "https://api.telegram.org"


class Email(Receiver, frozen=True, kw_only=True):
    """A mail server. `security`: `starttls` (port 587), `tls` (465) or `none` (loopback only)."""

    host: str
    sender: str
    to: tuple[str, ...]
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password_file: str = ""


class Webhook(Receiver, frozen=True, kw_only=True):
    """A POST of JSON: our own (`json`), or a message of the WhatsApp Business Cloud API
    (`whatsapp`) for Meta's address or a bridge that speaks it. `token_file` is sent as a Bearer."""

    url: str
    format: Literal["json", "whatsapp"] = "json"
    token_file: str = ""
    to: tuple[str, ...] = ()
    template: str = ""


class LimitSettings(Configuration, frozen=True):
    """Other limits of a rule for a device, a site, or everywhere."""

    rule: str
    fires: float
    clears: float
    device: str = ""
    site: str = ""


class AlertSettings(Configuration, frozen=True):
    """Who is told what, when, and in which language. Times are `HH:MM` in `time_zone`.

    In quiet hours only `quiet_passes` are told; the rest comes as one summary when they end.
    What is over is told after `recovery_wait_s`, together; at once when nothing fires any more.
    `heartbeat_url` is fetched after each whole round, for somebody outside to miss it.
    """

    language: Literal["id", "en"] = "id"
    time_zone: str = "Asia/Jakarta"
    opens: str = "08:00"
    closes: str = "22:00"
    quiet_from: str = ""
    quiet_until: str = ""
    quiet_passes: tuple[Severity, ...] = (Severity.CRITICAL,)
    recovery_wait_s: float = 900.0
    link: str = ""
    runbook_url: str = ""
    heartbeat_url: str = ""
    telegram: tuple[Telegram, ...] = ()
    email: tuple[Email, ...] = ()
    webhook: tuple[Webhook, ...] = ()
    limit: tuple[LimitSettings, ...] = ()

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @property
    def hours(self) -> Hours:
        """Opening hours."""
        return Hours(self.zone, time.fromisoformat(self.opens), time.fromisoformat(self.closes))

    @property
    def quiet(self) -> Hours | None:
        """When only the worst is told; None: never."""
        if not self.quiet_from:
            return None
        begin, end = time.fromisoformat(self.quiet_from), time.fromisoformat(self.quiet_until)
        return Hours(self.zone, begin, end)

    @property
    def limits(self) -> list[Limit]:
        return [Limit(one.rule, one.fires, one.clears, one.device, one.site) for one in self.limit]


def check_alerts(alerts: AlertSettings, source: str) -> None:
    """Refuse what can't work, before any connection.

    Raises:
        ConfigurationError: names the file, the key and the remedy.
    """
    _check_times(alerts, source)
    for limit in alerts.limit:
        _check_limit(limit, source)
    urls = [("link", alerts.link), ("runbook_url", alerts.runbook_url)]
    urls += [("heartbeat_url", alerts.heartbeat_url)]
    urls += [("telegram.api_url", one.api_url) for one in alerts.telegram]
    for key, url in urls:
        if url:
            _check_url(url, f"alerts.{key}", source)
    files = [("telegram.token_file", one.token_file) for one in alerts.telegram]
    files += [("email.password_file", one.password_file) for one in alerts.email]
    files += [("webhook.token_file", one.token_file) for one in alerts.webhook]
    for key, name in files:
        if (name or key.startswith("telegram")) and not is_file(name):
            remedy = "Put the secret into a file that only the watch's user can read"
            raise ConfigurationError(source, f"alerts.{key}", f"no file {name!r}", remedy)
        check_secret(name, f"alerts.{key}")
    for email in alerts.email:
        _check_email(email, source)
    for webhook in alerts.webhook:
        _check_url(webhook.url, "alerts.webhook.url", source)
        if webhook.format == "whatsapp" and not webhook.to:
            remedy = "Numbers with country code, without +: 628…"
            raise ConfigurationError(source, "alerts.webhook.to", "nobody to write to", remedy)


def _check_times(alerts: AlertSettings, source: str) -> None:
    try:
        alerts.zone  # noqa: B018 - to see whether it is there
    except (ZoneInfoNotFoundError, ValueError, OSError, RecursionError) as error:
        remedy = "Use a name like Asia/Jakarta, and install the system's tzdata"
        raise ConfigurationError(source, "alerts.time_zone", str(error), remedy) from error
    times = {"opens": alerts.opens, "closes": alerts.closes}
    if alerts.quiet_from or alerts.quiet_until:
        times |= {"quiet_from": alerts.quiet_from, "quiet_until": alerts.quiet_until}
    for key, text in times.items():
        if _TIME.fullmatch(text) is None:
            raise ConfigurationError(source, f"alerts.{key}", f"{text!r}", "Write it as 22:00")
    if not 0 <= alerts.recovery_wait_s <= 86_400:
        remedy = "Choose 0 to 86400"
        raise ConfigurationError(
            source, "alerts.recovery_wait_s", str(alerts.recovery_wait_s), remedy
        )


def _check_limit(limit: LimitSettings, source: str) -> None:
    rule = RULES.get(limit.rule)
    if rule is None:
        remedy = f"One of {', '.join(RULES)}"
        raise ConfigurationError(source, "alerts.limit.rule", f"no rule {limit.rule!r}", remedy)
    wrong = limit.clears > limit.fires if rule.above else limit.clears < limit.fires
    if wrong:
        side = "under" if rule.above else "above"
        remedy = f"{rule.id} clears {side} the limit it fires at"
        raise ConfigurationError(source, "alerts.limit.clears", str(limit.clears), remedy)


def _check_url(url: str, key: str, source: str) -> None:
    try:
        parts = urlsplit(url)
    except ValueError:  # half a bracket
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        remedy = "Write it as https://host/path"
        raise ConfigurationError(source, key, f"{url!r} isn't an address", remedy)


def _check_email(email: Email, source: str) -> None:
    for address in (email.sender, *email.to):
        if "@" not in address or any(ord(mark) < 33 for mark in address):
            remedy = "Write it as name@host"
            raise ConfigurationError(source, "alerts.email", f"{address!r}", remedy)
    if not email.to:
        raise ConfigurationError(source, "alerts.email.to", "nobody", "Name an address")
    if email.username and not email.password_file:
        remedy = "Name the file that holds the password"
        raise ConfigurationError(source, "alerts.email.password_file", "none", remedy)
