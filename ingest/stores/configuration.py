"""How to reach a database: the `[store]` table of `ingest.toml`, told apart by its `type`.

    [store]
    type = "influxdb2"          # or "sqlite"
    url = "http://127.0.0.1:8086"
    token_file = "/etc/gampong/influxdb-write.token"

Defaults stand here only. `check_settings` finds what can be found before any connection.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from ingest.stores import Bucket
from wire.configuration import Configuration, ConfigurationError
from wire.line import NAME
from wire.small_file import check_secret


class Retention(Configuration, frozen=True):
    """Days that a bucket keeps; older points are rejected with `retention`, then removed."""

    city: int = 90
    city_hourly: int = 5 * 366
    city_health: int = 7

    def days(self, bucket: Bucket) -> int:
        days: int = getattr(self, bucket.value)
        return days


class BucketNames(Configuration, frozen=True):
    """What the buckets are called in a database shared with others."""

    city: str = Bucket.CITY.value
    city_hourly: str = Bucket.HOURLY.value
    city_health: str = Bucket.HEALTH.value

    def name(self, bucket: Bucket) -> str:
        name: str = getattr(self, bucket.value)
        return name


class InfluxSettings(Configuration, frozen=True, tag="influxdb2", tag_field="type"):
    """InfluxDB 2. `timeout_s` is for one request; `ca_file` (PEM) is for a CA of one's own.

    `token_file` is what `ingest setup` wrote: the writing one for ingestors and the watch, the
    reading one for pages. It is read again whenever the database says 401 or 403.
    """

    url: str = "http://127.0.0.1:8086"
    org: str = "gampong"
    token_file: str = "/etc/gampong/influxdb-write.token"
    ca_file: str = ""
    timeout_s: float = 10.0
    gzip: bool = False
    buckets: BucketNames = BucketNames()
    retention: Retention = Retention()


class SqliteSettings(Configuration, frozen=True, tag="sqlite", tag_field="type"):
    """The embedded store: one file that the ingestor, the watch and pages share."""

    path: str = "/var/lib/gampong/store.db"
    busy_timeout_s: float = 5.0
    retention: Retention = Retention()


StoreSettings = InfluxSettings | SqliteSettings


def check_settings(settings: StoreSettings, source: str, key: str = "store") -> None:
    """Refuse what can't work, before any connection.

    Raises:
        ConfigurationError: names the file, the key and the remedy.
    """
    for bucket in Bucket:
        days = settings.retention.days(bucket)
        if not 1 <= days <= 36_600:
            raise ConfigurationError(
                source, f"{key}.retention.{bucket}", f"{days} days", "Choose 1 to 36600"
            )
    if isinstance(settings, SqliteSettings):
        _check_sqlite(settings, source, key)
    else:
        _check_influx(settings, source, key)


def is_file(name: str | Path) -> bool:
    """Whether there is a file of that name; a name that can't be one isn't."""
    try:
        return Path(name).is_file()
    except OSError:  # too long, or where nobody may look
        return False


def is_folder(name: str | Path) -> bool:
    """The same of a folder."""
    try:
        return Path(name).is_dir()
    except OSError:
        return False


def _check_sqlite(settings: SqliteSettings, source: str, key: str) -> None:
    folder = Path(settings.path).parent
    if not is_folder(folder):
        raise ConfigurationError(source, f"{key}.path", f"no folder {folder}", f"mkdir -p {folder}")
    if not 0.01 <= settings.busy_timeout_s <= 60:
        raise ConfigurationError(
            source, f"{key}.busy_timeout_s", str(settings.busy_timeout_s), "Choose 0.01 to 60"
        )


def _check_influx(settings: InfluxSettings, source: str, key: str) -> None:
    try:
        url = urlsplit(settings.url)
        hostname = url.hostname
    except ValueError:  # brackets that aren't an address
        url, hostname = urlsplit(""), None
    if url.scheme not in ("http", "https") or not hostname or url.query or url.username:
        remedy = "Write it as http://host:8086, without user, path or query"
        raise ConfigurationError(source, f"{key}.url", f"{settings.url!r} isn't an address", remedy)
    if not settings.org:
        raise ConfigurationError(source, f"{key}.org", "empty", "Name the organisation")
    if not 0.1 <= settings.timeout_s <= 600:
        raise ConfigurationError(
            source, f"{key}.timeout_s", str(settings.timeout_s), "Choose 0.1 to 600"
        )
    for file_key, file in (("token_file", settings.token_file), ("ca_file", settings.ca_file)):
        if file and not is_file(file):
            remedy = "Run gampong ingest setup" if file_key == "token_file" else "Name a PEM file"
            raise ConfigurationError(source, f"{key}.{file_key}", f"no file {file}", remedy)
    check_secret(settings.token_file, f"{key}.token_file")
    names = [settings.buckets.name(bucket) for bucket in Bucket]
    if len(set(names)) < len(names) or not all(NAME.fullmatch(name) for name in names):
        remedy = "Three different names of lower-case letters, digits, - and _"
        raise ConfigurationError(source, f"{key}.buckets", ", ".join(names), remedy)
