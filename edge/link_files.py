"""Files that links' settings name: certificates, passwords, keys, decoders.

In: settings. Out: what is in the files, or `ConfigurationError` with the file and the remedy. Links
read them as they connect; `gampong edge check` looks at all of them beforehand.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from functools import partial

from devices.signature import SECRET_BYTES_MIN
from edge.broker import Keys, judge_dates
from edge.configuration import EdgeConfiguration
from edge.link_settings import LinkSettings, MqttServer, Signature, Storage, ThingsStack
from wire.configuration import ConfigurationError
from wire.small_file import LARGE_FILE_BYTES_MAX, check_secret, read_secret, read_small


def server_tls(server: MqttServer, check_dates: bool = True) -> ssl.SSLContext | None:
    """TLS 1.2 or later; the chain and the name are always checked, dates once we know the time.

    Raises:
        ConfigurationError: a file that can't be read or doesn't hold what it should, or a key that
            is open to others.
    """
    tls = server.tls
    if tls is None:
        return None
    file = tls.ca_file
    try:
        if tls.ca_file:
            read_small(tls.ca_file, LARGE_FILE_BYTES_MAX)
        context = ssl.create_default_context(cafile=tls.ca_file or None)
        if tls.certificate_file:
            if file := tls.key_file:
                read_secret(file, "broker.tls.key_file")
            file = tls.certificate_file
            read_small(file)
            context.load_cert_chain(tls.certificate_file, tls.key_file or None)
    except OSError as error:  # ssl.SSLError too
        remedy = "Give a PEM file that this user can read"
        raise ConfigurationError(file, "broker.tls", str(error), remedy) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    judge_dates(context, check_dates)
    return context


def server_keys(server: MqttServer, check_dates: bool = True) -> Keys:
    """The password and TLS.

    Raises:
        ConfigurationError: as `server_password` and `server_tls`.
    """
    return server_password(server), server_tls(server, check_dates)


def server_password(server: MqttServer) -> str | None:
    """The password, None without a file.

    Raises:
        ConfigurationError: it can't be read, or others may.
    """
    return _secret(server.password_file, "broker.password_file") if server.password_file else None


def storage_key(storage: Storage) -> str:
    """The API key.

    Raises:
        ConfigurationError: it can't be read, or others may.
    """
    return _secret(storage.api_key_file, "storage.api_key_file")


def sender_secrets(files: Sequence[str]) -> list[bytes]:
    """The secrets that are valid now, in the files' order.

    Raises:
        ConfigurationError: one can't be read, can be by others, or is too short to be one.
    """
    secrets = []
    for file in files:
        secret = _secret(file, "signature.secret_files").encode()
        if len(secret) < SECRET_BYTES_MIN:
            problem, remedy = "too short", f"Take {SECRET_BYTES_MIN} characters or more"
            raise ConfigurationError(file, "signature.secret_files", problem, remedy)
        secrets.append(secret)
    return secrets


def check_files(configuration: EdgeConfiguration) -> None:
    """Look at every file that links and field maps name.

    Raises:
        ConfigurationError: the first that can't be used.
    """
    for link in configuration.link:
        server = _server(link)
        if server is not None:
            server_tls(server)
            server_password(server)
        if isinstance(link, ThingsStack) and link.storage is not None:
            storage_key(link.storage)
        if signature := _signature(link):
            sender_secrets(signature.secret_files)
        for key in ("password_file", "community_file"):  # an access point's
            check_secret(getattr(link, key, ""), f"link.{link.name}.{key}")
    for name, field_map in configuration.field_map.items():
        if field_map.decoder:
            read = partial(read_small, field_map.decoder, LARGE_FILE_BYTES_MAX)
            _text(field_map.decoder, f"field_map.{name}.decoder", read)


def _server(link: LinkSettings) -> MqttServer | None:
    server = getattr(link, "broker", None)
    return server if isinstance(server, MqttServer) else None


def _signature(link: LinkSettings) -> Signature | None:
    signature = getattr(link, "signature", None)
    return signature if isinstance(signature, Signature) else None


def _secret(file: str, key: str) -> str:
    return _text(file, key, lambda: read_secret(file, key))


def _text(file: str, key: str, read: Callable[[], bytes]) -> str:
    try:
        return read().decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(file, key, reason.lower(), "Give a readable text file") from error
