"""`dashboards.toml`: where Grafana finds the database, and who hears of alerts.

No secret stands here or in anything built: a secret is named by its file. Provisioned from files,
Grafana reads that file itself (`$__file{...}`); `gampong dashboards push` reads it and sends it.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from dashboards.texts import Language
from ingest.stores.configuration import BucketNames
from wire.configuration import Configuration, ConfigurationError
from wire.line import NAME

EXAMPLE_HOST = "gampong.example"
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


class Influx(Configuration, frozen=True):
    """The database as Grafana reaches it, and the reading token's file on Grafana's machine."""

    url: str = "http://127.0.0.1:8086"
    token_file: str = "/etc/gampong/influxdb-read.token"
    buckets: BucketNames = BucketNames()


class Telegram(Configuration, frozen=True):
    """A bot and the chat it writes to (a group's id begins with a minus: keep the quotes)."""

    token_file: str = "/etc/gampong/telegram.token"
    chat_id: str = ""


class Email(Configuration, frozen=True):
    """Addresses; Grafana's own `[smtp]` sends."""

    addresses: tuple[str, ...] = ()


class Webhook(Configuration, frozen=True):
    """Any receiver of Grafana's webhook, the bridge to WhatsApp among them."""

    url: str = ""
    password_file: str = ""
    username: str = "grafana"


class Quiet(Configuration, frozen=True):
    """Local hours in which only `critical` is told; both equal is never."""

    begin: str = "22:00"
    end: str = "05:30"


class GrafanaConfiguration(Configuration, frozen=True):
    """Everything that differs between two cities."""

    language: str = Language.ENGLISH.value
    timezone: str = "Asia/Jakarta"
    runbook_url: str = f"https://{EXAMPLE_HOST}/docs/runbook"
    influx: Influx = Influx()
    telegram: Telegram = Telegram()
    email: Email = Email()
    webhook: Webhook = Webhook()
    quiet: Quiet = Quiet()


def check_configuration(configuration: GrafanaConfiguration, source: str) -> None:
    """Refuse what can't work, before anything is built.

    Raises:
        ConfigurationError: names the file, the key and the remedy.
    """

    def refuse(key: str, what: str, remedy: str) -> None:
        raise ConfigurationError(source, key, what, remedy)

    if configuration.language not in tuple(Language):
        refuse("language", repr(configuration.language), "Choose id or en")
    for key, url in (
        ("runbook_url", configuration.runbook_url),
        ("influx.url", configuration.influx.url),
        ("webhook.url", configuration.webhook.url or "http://none"),
    ):
        try:
            parts = urlsplit(url)
        except ValueError:  # half a bracket
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not parts.hostname or "$" in url or " " in url:
            refuse(key, f"{url!r} isn't an address", "Write it as http://host:port/path")
    buckets = configuration.influx.buckets
    names = (buckets.city, buckets.city_hourly, buckets.city_health)
    if len(set(names)) < len(names) or not all(NAME.fullmatch(name) for name in names):
        remedy = "Three different names of lower-case letters, digits, - and _"
        refuse("influx.buckets", ", ".join(names), remedy)
    for key, clock in (
        ("quiet.begin", configuration.quiet.begin),
        ("quiet.end", configuration.quiet.end),
    ):
        if not _CLOCK.fullmatch(clock):
            refuse(key, repr(clock), "Write it as 22:00")
    for key, file in secret_files(configuration):
        if not file.startswith("/") or any(odd in file for odd in "{}$\n"):
            refuse(key, repr(file), "Name the file by its whole path")
    if configuration.telegram.chat_id and not re.fullmatch(
        r"-?\d+|@\w+", configuration.telegram.chat_id
    ):
        refuse("telegram.chat_id", repr(configuration.telegram.chat_id), "A number, or @channel")
    for address in configuration.email.addresses:
        if not re.fullmatch(r"[^@\s;,$]+@[^@\s;,$]+", address):
            refuse("email.addresses", repr(address), "Write it as name@host")


def secret_files(configuration: GrafanaConfiguration) -> list[tuple[str, str]]:
    """Key → file of every secret that this configuration uses."""
    found = [("influx.token_file", configuration.influx.token_file)]
    if configuration.telegram.chat_id:
        found.append(("telegram.token_file", configuration.telegram.token_file))
    if configuration.webhook.url and configuration.webhook.password_file:
        found.append(("webhook.password_file", configuration.webhook.password_file))
    return found
