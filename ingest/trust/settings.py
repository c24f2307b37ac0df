"""`authority.toml`: where the authority lives, and how gateways reach the broker."""

from __future__ import annotations

from wire.configuration import Configuration, ConfigurationError, decode_toml
from wire.line import NAME


class AuthoritySettings(Configuration, frozen=True):
    """The authority's folder, and for how long it signs.

    `others_file` holds the certificates of other authorities whose gateways may come in too, PEM:
    roots and what stands between. `others_crls` are the files or addresses of their revocation
    lists.
    """

    city: str
    folder: str = "/etc/gampong/authority"
    passphrase_file: str = "/etc/gampong/authority.passphrase"
    gateway_days: int = 400
    cloud_days: int = 1830
    others_file: str = ""
    others_crls: tuple[str, ...] = ()


class BrokerAccess(Configuration, frozen=True):
    """The broker as gateways and this command reach it.

    `hosts` are further names and addresses its certificate is good for, with commas between.
    `folder` holds what the broker reads; it has to see it under the same path. `reload` is run
    after a revocation, so that the broker reads the revocation list again; empty: it is only said.
    """

    host: str
    port: int = 8883
    hosts: str = ""
    folder: str = "/etc/gampong/broker"
    plugin: str = "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so"
    reload: tuple[str, ...] = ("systemctl", "reload", "mosquitto")


class TrustConfiguration(Configuration, frozen=True):
    """The whole of `authority.toml`."""

    authority: AuthoritySettings
    broker: BrokerAccess


def load_configuration(text: str, source: str) -> TrustConfiguration:
    """The checked configuration.

    Raises:
        ConfigurationError: names file, key and remedy.
    """
    configuration = decode_toml(text, TrustConfiguration, source)
    if NAME.fullmatch(configuration.authority.city) is None:
        remedy = "Use lower-case letters, digits, - and _, at most 64"
        raise ConfigurationError(source, "authority.city", "isn't a name", remedy)
    bounds = [
        ("authority.gateway_days", configuration.authority.gateway_days, 1, 3650),
        ("authority.cloud_days", configuration.authority.cloud_days, 1, 3650),
        ("broker.port", configuration.broker.port, 1, 65535),
    ]
    for key, value, low, high in bounds:
        if not low <= value <= high:
            raise ConfigurationError(source, key, f"{value} not in {low}..{high}", "Choose within")
    return configuration
