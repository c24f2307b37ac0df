"""The ingestor's TOML: which broker, which database, what is believed, where bad lines go.

In: the text of `ingest.toml`. Out: one frozen tree, checked whole before any connection. Defaults
stand here (and in `ingest.stores.configuration` for `[store]`) only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from ingest.alerts.settings import AlertSettings, check_alerts
from ingest.guard import HOUR_MS, Limits
from ingest.registry import NEW_A_DAY
from ingest.revenue import RevenueSettings, check_revenue
from ingest.stores.configuration import (
    InfluxSettings,
    StoreSettings,
    check_settings,
    is_file,
    is_folder,
)
from wire.configuration import (
    Broker,
    Configuration,
    ConfigurationError,
    Metrics,
    decode_toml,
    listening,
)
from wire.line import NAME


class IngestSettings(Configuration, frozen=True):
    """How batches are taken and joined. Times in `_s` that end in `future`, `late` and the
    retention are city time; the others are wall time.

    Ingestors of one `group` share the work: each batch goes to one of them. `name` is this one's in
    `ingestor_health`, the machine's name when it is empty. A write holds up to
    `batch_lines_max` lines, gathered for up to `join_s` while another write is under way.
    `registry` `needed`: nothing is taken before the watch has said which device belongs to which
    gateway, and another gateway's device is dead-lettered as `claim`. `none`: gateways are trusted
    with each other's devices, and no watch is needed.

    One gateway may have work of `gateway_kb_per_s_max` done in each ingestor, live and back-fill
    each, in KB of good lines; what is more waits on its card. It may bring `new_a_day_max` devices,
    or places of devices, that the registry doesn't give it (and the watch takes as many a day into
    the registry); a line with one more is dead-lettered as `too_many_new`.
    """

    group: str = "ingest"
    name: str = ""
    registry: Literal["needed", "none"] = "needed"
    batch_lines_max: int = 5000
    join_s: float = 0.1
    gateway_kb_per_s_max: int = 1000
    new_a_day_max: int = NEW_A_DAY
    retention_days: float = 90.0
    future_s_max: float = 24 * 3600.0
    late_s: float = 300.0

    @property
    def limits(self) -> Limits:
        """What the guard believes of times."""
        retention_ms = int(self.retention_days * 24 * HOUR_MS)
        return Limits(retention_ms, int(self.future_s_max * 1000), int(self.late_s * 1000))


class DeadLetterSettings(Configuration, frozen=True):
    """The file for lines that no database will take, one an ingestor.

    One gateway may fill `gateway_share` of `bytes_max`. When its room is full its batches with bad
    lines are held, and the log says so, until they are replayed or the file is moved away.
    """

    path: str = "/var/lib/gampong/dead-letters.jsonl"
    bytes_max: int = 64 * 1024 * 1024
    gateway_share: float = 0.1


class WatchSettings(Configuration, frozen=True):
    """What `gampong watch` keeps over a restart: which device belongs to which gateway. Beside it
    lies `alerts.json`: silences, and what is still to be told."""

    registry_path: str = "/var/lib/gampong/registry.json"


class IngestConfiguration(Configuration, frozen=True):
    """The whole of `ingest.toml`."""

    store: StoreSettings
    broker: Broker = Broker()
    ingest: IngestSettings = IngestSettings()
    dead_letters: DeadLetterSettings = DeadLetterSettings()
    watch: WatchSettings = WatchSettings()
    alerts: AlertSettings = AlertSettings()
    metrics: Metrics = Metrics()
    revenue: RevenueSettings = RevenueSettings()


def load_configuration(text: str, source: str, before_setup: bool = False) -> IngestConfiguration:
    """The checked configuration. `before_setup`: the token that set-up will write may be missing.

    Raises:
        ConfigurationError: names the file, the key and the remedy.
    """
    configuration = decode_toml(text, IngestConfiguration, source)
    check_settings(_without_token(configuration.store, before_setup), source)
    _check_bounds(configuration, source)
    ingest = configuration.ingest
    for key, name in (("ingest.group", ingest.group), ("ingest.name", ingest.name or "unnamed")):
        if NAME.fullmatch(name) is None:
            remedy = "Use lower-case letters, digits, - and _, at most 64"
            raise ConfigurationError(source, key, f"{name!r} isn't a name", remedy)
    _check_retention(configuration, source)
    _check_files(configuration, source)
    check_alerts(configuration.alerts, source)
    listening(configuration.metrics, source)
    check_revenue(configuration.revenue, source)
    return configuration


def read_configuration(path: Path, before_setup: bool = False) -> IngestConfiguration:
    """The same from a file.

    Raises:
        ConfigurationError: names the file, the key and the remedy.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        problem = error.strerror or str(error)
        raise ConfigurationError(str(path), "", problem, "Name a file that can be read") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(str(path), "", "not UTF-8 text", "Save it as UTF-8") from error
    return load_configuration(text, str(path), before_setup)


def _without_token(store: StoreSettings, before_setup: bool) -> StoreSettings:
    if before_setup and isinstance(store, InfluxSettings):
        return msgspec.structs.replace(store, token_file="")
    return store


def _check_bounds(configuration: IngestConfiguration, source: str) -> None:
    broker, ingest = configuration.broker, configuration.ingest
    letters = configuration.dead_letters
    bounds = [
        ("broker.port", broker.port, 1, 65_535),
        ("broker.keepalive_s", broker.keepalive_s, 1, 3600),
        ("ingest.batch_lines_max", ingest.batch_lines_max, 1, 50_000),
        ("ingest.join_s", ingest.join_s, 0, 5),
        ("ingest.gateway_kb_per_s_max", ingest.gateway_kb_per_s_max, 1, 10**6),
        ("ingest.new_a_day_max", ingest.new_a_day_max, 1, 100_000),
        ("ingest.retention_days", ingest.retention_days, 1, 36_600),
        ("ingest.future_s_max", ingest.future_s_max, 0, 31 * 24 * 3600),
        ("ingest.late_s", ingest.late_s, 1, 31 * 24 * 3600),
        ("dead_letters.bytes_max", letters.bytes_max, 64 * 1024, 2**40),
        ("dead_letters.gateway_share", letters.gateway_share, 0.001, 1),
    ]
    for key, value, low, high in bounds:
        if not low <= value <= high:
            raise ConfigurationError(source, key, f"{value} not in {low}..{high}", "Choose within")


def _check_retention(configuration: IngestConfiguration, source: str) -> None:
    kept_days = configuration.store.retention.city
    if configuration.ingest.retention_days > kept_days:
        raise ConfigurationError(
            source,
            "ingest.retention_days",
            f"longer than the bucket's {kept_days} days",
            "Raise store.retention.city too",
        )


def _check_files(configuration: IngestConfiguration, source: str) -> None:
    broker = configuration.broker
    files = [("broker.password_file", broker.password_file)]
    if broker.tls:
        files += [
            ("broker.tls.ca_file", broker.tls.ca_file),
            ("broker.tls.certificate_file", broker.tls.certificate_file),
            ("broker.tls.key_file", broker.tls.key_file),
        ]
    for key, name in files:
        if name and not is_file(name):
            raise ConfigurationError(source, key, f"no file {name}", "Name a file that exists")
    folder = Path(configuration.dead_letters.path).parent
    if not is_folder(folder):
        raise ConfigurationError(
            source, "dead_letters.path", f"no folder {folder}", f"mkdir -p {folder}"
        )
