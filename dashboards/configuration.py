"""`page.toml`: where to read from, who may come in, what the pages reckon with.

    [store]
    type = "influxdb2"
    url = "http://127.0.0.1:8086"
    token_file = "/etc/gampong/influxdb-read.token"

    [accounts]
    file = "/var/lib/gampong-page/accounts.db"

A file of its own, since a page needs the reading token and no broker. Defaults stand here only;
docs/operator.md says what each key is for.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

from dashboards.round_configuration import RoundConfiguration, check_round, time_zone_of
from ingest.stores.configuration import StoreSettings, check_settings, is_folder
from wire.configuration import Configuration, ConfigurationError, decode_toml
from wire.small_file import check_secret

TOKEN_BYTES_MIN = 24


class AccountSettings(Configuration, frozen=True):
    """Who may come in. Without a file nobody logs in, and only this machine may look.

    Args:
        file: SQLite, made by `gampong account add`: accounts, sessions, the audit log.
        idle_minutes: a session ends after so long without an open page.
        session_hours: and after so long in any case.
        tries: wrong passwords in a row for one name, four times as many from one address; after
            that one each `try_seconds`.
        audit_rows: so many entries of the audit log are kept, the newest.
        https: whether browsers come by https, through a proxy that ends TLS: the cookie is then
            sent by https only.
        trusted_proxies: addresses whose `X-Forwarded-For` is believed.
        token_file: who sends this token may read `/api/state` and `/api/board` without a session.
    """

    file: str = ""
    idle_minutes: float = 120.0
    session_hours: float = 24.0
    tries: int = 5
    try_seconds: float = 60.0
    audit_rows: int = 100_000
    https: bool = False
    trusted_proxies: tuple[str, ...] = ()
    token_file: str = ""


class PageAlertSettings(Configuration, frozen=True):
    """`desk_file` is the watch's `alerts.json`, beside which acknowledgements are left; without it
    alerts are only shown. `runbook_url` gets `#<rule>` behind it."""

    desk_file: str = ""
    runbook_url: str = ""


class PageConfiguration(Configuration, frozen=True):
    """What `gampong page --config` reads.

    Args:
        time_zone: of days and hours on the pages.
        overstay_min: how long a vehicle may stay.
        promised: the share of a month in which visitors are to reach the internet.
        round_file: `round.toml`: depot and trucks.
    """

    store: StoreSettings
    accounts: AccountSettings = AccountSettings()
    alerts: PageAlertSettings = PageAlertSettings()
    time_zone: str = "Asia/Jakarta"
    overstay_min: float = 240.0
    promised: float = 0.99
    round_file: str = ""


def load(text: str, source: str, *, accounts_only: bool = False) -> PageConfiguration:
    """The checked configuration. `accounts_only`: only `[accounts]` is to be used now, so the
    store's token and the watch's folder may be another user's.

    Raises:
        ConfigurationError: names the file, the key and the remedy.
    """
    said = decode_toml(text, PageConfiguration, source)
    time_zone_of(said.time_zone, source, "time_zone")
    _check_bounds(said, source)
    _check_accounts(said.accounts, source)
    if accounts_only:
        return said
    check_settings(said.store, source)
    _check_token(said.accounts.token_file, source)
    desk = said.alerts.desk_file
    if desk and not is_folder(Path(desk).parent):
        problem, remedy = f"no folder {Path(desk).parent}", "Name the watch's alerts.json"
        raise ConfigurationError(source, "alerts.desk_file", problem, remedy)
    return said


def read(file: str, *, accounts_only: bool = False) -> PageConfiguration:
    """The same from a file.

    Raises:
        ConfigurationError: names the file, the key and the remedy.
    """
    return load(read_file(file), file, accounts_only=accounts_only)


def check_listening(configuration: PageConfiguration, host: str) -> None:
    """Without accounts, only this machine may look.

    Raises:
        ConfigurationError: says how to make the first account.
    """
    if not configuration.accounts.file and not is_loopback(host):
        remedy = "Name accounts.file in page.toml and make one: gampong account add page.toml NAME"
        raise ConfigurationError("--host", "", f"{host}: anybody could come in", remedy)


def is_loopback(host: str) -> bool:
    """Whether a `Host` header, or an address to listen on, names this machine only."""
    bare = host if host.count(":") < 2 or host.startswith("[") else f"[{host}]"
    try:
        name = urlsplit(f"//{bare}").hostname or ""
    except ValueError:
        return False
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def read_file(path: str, key: str = "") -> str:
    """The text of a file that a configuration names.

    Raises:
        ConfigurationError: it can't be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # not UTF-8, or a name that no file can have
        raise ConfigurationError(path, key, str(error), "Name a TOML file") from error


def round_of(configuration: PageConfiguration) -> RoundConfiguration | None:
    """Depot and trucks, where the operator gave them.

    Raises:
        ConfigurationError: names the file, the key and the remedy.
    """
    file = configuration.round_file
    if not file:
        return None
    return check_round(decode_toml(read_file(file), RoundConfiguration, file), file)


def _check_bounds(said: PageConfiguration, source: str) -> None:
    accounts = said.accounts
    bounds = [
        ("overstay_min", said.overstay_min, 1, 100_000),
        ("promised", said.promised, 0.001, 1),
        ("accounts.idle_minutes", accounts.idle_minutes, 1, 100_000),
        ("accounts.session_hours", accounts.session_hours, 0.1, 8784),
        ("accounts.tries", accounts.tries, 3, 100),
        ("accounts.try_seconds", accounts.try_seconds, 1, 86_400),
        ("accounts.audit_rows", accounts.audit_rows, 1000, 10_000_000),
    ]
    for key, value, low, high in bounds:
        if not low <= value <= high:
            raise ConfigurationError(source, key, f"{value:g}", f"Choose {low:g} to {high:g}")


def _check_accounts(accounts: AccountSettings, source: str) -> None:
    for address in accounts.trusted_proxies:
        try:
            ipaddress.ip_address(address)
        except ValueError as error:
            key, remedy = "accounts.trusted_proxies", "Give its address"
            raise ConfigurationError(source, key, str(error), remedy) from error
    if not accounts.file and accounts != AccountSettings():
        remedy = "Name a file; gampong account add makes it"
        raise ConfigurationError(source, "accounts.file", "needed by the other keys", remedy)


def _check_token(file: str, source: str) -> None:
    if not file:
        return
    remedy = f"install -m 600 /dev/null {file}; openssl rand -base64 33 > {file}"
    try:
        size = Path(file).stat().st_size
    except (OSError, ValueError) as error:  # or a name that no file can have
        raise ConfigurationError(source, "accounts.token_file", str(error), remedy) from error
    check_secret(file, "accounts.token_file")
    if size < TOKEN_BYTES_MIN:
        problem = f"{size} bytes are easily guessed"
        raise ConfigurationError(source, "accounts.token_file", problem, remedy)
