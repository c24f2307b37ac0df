"""What a token has to be able to do, tried out on what the line will ask."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from ingest.stores import Bucket, Kept, Query, StoreError
from ingest.stores.configuration import InfluxSettings
from ingest.stores.influx2 import InfluxStore
from wire.clock import Clock


class Scope(msgspec.Struct, frozen=True):
    """What a token is for: `write` is for ingestors and the watch, which read as well."""

    name: Literal["write", "read"]
    file: Path
    settings: InfluxSettings
    clock: Clock

    @property
    def actions(self) -> tuple[str, ...]:
        return ("write", "read") if self.name == "write" else ("read",)


async def try_token(scope: Scope) -> str:
    """What is wrong with the token in the file, or nothing: it can do on every bucket what it is
    for, and a reading one can't write.

    Raises:
        StoreError: the database is away, which says nothing about the token.
    """
    settings = msgspec.structs.replace(scope.settings, token_file=str(scope.file))
    try:
        store = InfluxStore.open(settings, scope.clock)
    except StoreError as error:
        return str(error)
    try:
        for bucket in Bucket:
            problem = _judge(scope, bucket, await store.probe(bucket))
            if problem:
                return problem
            await store.read(_question(bucket))
    except StoreError as error:
        return str(error)
    finally:
        await store.close()
    return ""


def _judge(scope: Scope, bucket: Bucket, fate: Kept | None) -> str:
    if fate is not None and fate.reason not in ("unauthorized", "not_found"):
        raise StoreError(f"InfluxDB: {fate.detail}; try again when it works")
    if scope.name == "write" and fate is not None:
        return f"no writing to {bucket}: {fate.detail}"
    if scope.name == "read" and fate is None:
        return f"may write to {bucket}: too much for a reading token"
    return ""


def _question(bucket: Bucket) -> Query:
    return Query(
        kind="parking_spot",
        fields=("occupied_count" if bucket is Bucket.HOURLY else "occupied",),
        start_ms=0,
        stop_ms=1,
        bucket=bucket,
    )
