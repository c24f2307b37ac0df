"""Files with secrets in them, looked at when a process starts: who may read them?

In: paths. Out: a warning in the log for each that any user of the machine could read. The
authority's passphrase is stricter: its commands refuse it (`authority_files.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ingest.configuration import IngestConfiguration

OTHERS_READ = 0o004


def readable_by_all(files: Iterable[str]) -> list[Path]:
    """Those of them that are there and open to everybody."""
    paths = [Path(file) for file in files if file]
    return [path for path in paths if path.exists() and path.stat().st_mode & OTHERS_READ]


def say_readable(files: Iterable[str]) -> None:
    """Into the log."""
    log = logging.getLogger("gampong.secrets")
    for path in readable_by_all(files):
        log.warning("event=secret_readable_by_all file=%s remedy='chmod 600'", path)


def secrets_of(configuration: IngestConfiguration) -> list[str]:
    """The files with secrets that an `ingest.toml` names."""
    broker, alerts = configuration.broker, configuration.alerts
    return [
        broker.password_file,
        broker.tls.key_file if broker.tls else "",
        getattr(configuration.store, "token_file", ""),
        *(one.token_file for one in alerts.telegram),
        *(one.token_file for one in alerts.webhook),
        *(one.password_file for one in alerts.email),
    ]
