"""What `gampong ingest setup` is given and what it tells."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

Outcome = Literal["made", "changed", "ready"]


class Step(msgspec.Struct, frozen=True):
    """One thing that set-up made, changed or found ready."""

    what: str
    outcome: Outcome
    detail: str = ""


class SetupRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Where set-up finds an administrator's token, and where it leaves those of least scope.

    Args:
        admin_token_file: a token that may make buckets and tokens. With `onboard` set it is
            written, mode 0600.
        write_token_file: for ingestors and the watch: these buckets alone, writing and reading.
        read_token_file: for pages: these buckets alone, reading.
        onboard: the name of the first user, for an InfluxDB that nobody has set up yet; empty
            leaves a fresh one alone and says so.
        onboard_password_file: that user's password, at least 8 characters; empty makes one up
            that nobody keeps (the token is enough).
    """

    admin_token_file: Path = Path("/etc/gampong/influxdb-admin.token")
    write_token_file: Path = Path("/etc/gampong/influxdb-write.token")
    read_token_file: Path = Path("/etc/gampong/influxdb-read.token")
    onboard: str = ""
    onboard_password_file: Path | None = None
