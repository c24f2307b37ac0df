"""Configuration text to a typed tree, with errors that say which file, which key, and what to do.

One TOML a process. Defaults stand in the structs only; unknown keys are refused. Reading the file
is the caller's: this room does no IO.
"""

from __future__ import annotations

import tomllib
from typing import TypeVar

import msgspec

TEXT_LENGTH_MAX = 200_000
"""Twice what 1,000 devices take. tomllib needs the square of a dotted key's length: 5 s for half a
megabyte of `a.a.a.`, and a text may come from afar."""

_T = TypeVar("_T")


class ConfigurationError(Exception):
    """A configuration that can't be used; the message names file, key and remedy."""

    def __init__(self, source: str, key: str, problem: str, remedy: str = "") -> None:
        self.source, self.key, self.problem, self.remedy = source, key, problem, remedy
        text = f"{source}: {key}: {problem}" if key else f"{source}: {problem}"
        super().__init__(f"{text}. {remedy}" if remedy else text)


class Configuration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every configuration table inherits: frozen, unknown keys refused."""


class Tls(Configuration, frozen=True):
    """Certificate files (PEM). A gateway's name is its certificate's common name."""

    ca_file: str
    certificate_file: str
    key_file: str


class Broker(Configuration, frozen=True):
    """How to reach an MQTT 5 broker. With `tls` absent the connection is plain: loopback only."""

    host: str = "127.0.0.1"
    port: int = 1883
    keepalive_s: int = 30
    username: str = ""
    password_file: str = ""
    tls: Tls | None = None


class Metrics(Configuration, frozen=True):
    """Where `/metrics` and `/healthz` are served, `host:port`; nowhere when it is empty. No
    password: 127.0.0.1, or an address that only the city's own Prometheus can reach."""

    listen: str = ""


def listening(metrics: Metrics, source: str) -> tuple[str, int] | None:
    """Host and port of `listen`, None for nowhere.

    Raises:
        ConfigurationError: not host:port.
    """
    if not metrics.listen:
        return None
    host, _, port = metrics.listen.rpartition(":")
    if not host or not port.isdecimal() or not 1 <= int(port) <= 65_535:
        problem, remedy = f"{metrics.listen!r} isn't host:port", "Give 127.0.0.1:9464"
        raise ConfigurationError(source, "metrics.listen", problem, remedy)
    return host.strip("[]"), int(port)


def decode_toml(text: str, type_: type[_T], source: str) -> _T:
    """A configuration of that type.

    Raises:
        ConfigurationError: not TOML, an unknown or missing key, a wrong type or value.
    """
    if len(text) > TEXT_LENGTH_MAX:
        problem = f"longer than {TEXT_LENGTH_MAX} characters"
        raise ConfigurationError(source, "", problem, "Divide it among gateways")
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # numbers of 5,000 digits, 1,000 brackets
        raise ConfigurationError(source, "", f"not TOML: {error}", "Mend that line") from error
    try:
        return msgspec.convert(table, type_, strict=True)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$")
        key = path.removesuffix("`").lstrip(".")
        raise ConfigurationError(
            source, key, problem, "See the sample file for this key"
        ) from error
