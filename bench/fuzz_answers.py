"""What is answered in words, for `bench.fuzz`: a name server's datagram, the database, a vendor's
decoder. No connection is needed for it; those that need one are `fuzz_far`.
"""

from __future__ import annotations

import random

from bench.fuzz_inputs import mutated, mutated_text
from bench.fuzzing import Taker, as_text, refusing
from devices.field_map import FieldFrom, FieldMap, TimeFrom, map_driver
from devices.reading import Payload, Undecodable
from edge import codec_worker
from edge.links.probes import answers, build_query
from ingest.stores import Query, StoreError
from ingest.stores.influx2_answers import judge
from ingest.stores.influxql import parse

INFLUXQL = (
    b'{"results":[{"statement_id":0,"series":[{"name":"waste_container","tags":{"device":"b-1"},'
    b'"columns":["time","filling_level","status"],"values":[[1795136400000,0.5,"ok"]]}]}]}'
)


def takers() -> list[Taker]:
    """All of them."""
    return [*_words(), *_decoders()]


def _words() -> list[Taker]:
    """What needs no connection: a name server's datagram, the database's answers."""
    query = build_query(7, "example.org")
    told = query[:2] + b"\x81\x80\x00\x01\x00\x01" + query[8:] + b"\xc0\x0c\x00\x01\x00\x01"
    asked = Query(
        kind="waste_container", fields=("filling_level", "status"), start_ms=0, stop_ms=10**13
    )

    def write(data: bytes, draw: random.Random) -> str:
        status, text = draw.choice((204, 400, 401, 404, 413, 422, 429, 500)), as_text(data)
        headers = {"Retry-After": text[:40], "Date": text[40:80]}
        return type(judge(status, headers, data)).__name__.lower()

    refused = b'{"code":"invalid","message":"partial write: field type conflict dropped=1"}'
    read = refusing(lambda data: parse(data, [asked]), StoreError, taken="rows")
    return [
        Taker("far", "name server", [told], lambda data, _: str(answers(query, data)), mutated),
        Taker("far", "database's rows", [INFLUXQL], read, mutated_text),
        Taker("far", "database's word", [refused], write, mutated_text),
    ]


def _decoders() -> list[Taker]:
    """What a vendor's decoder may give, and what a field map makes of any decoded object."""
    fields = {
        "filling_level": FieldFrom(from_="level", unit="%"),
        "battery_v": FieldFrom(from_="/status/battery/0", scale=0.001),
        "status": FieldFrom(from_="lid", values={"open": "lid_open", "true": "ok"}),
    }
    map_ = FieldMap(kind="waste_container", fields=fields, time=TimeFrom(from_="at", unit="ms"))
    decode = map_driver("fuzz", map_).decode
    asked = {"bytes": [1, 2], "fPort": 85, "recvTime": 1_795_136_400_000}

    def given(data: bytes, _draw: random.Random) -> str:
        """An engine that answers that."""
        try:
            codec_worker.decode(_Engine, lambda _asked: as_text(data), asked)
        except codec_worker.Fault as fault:
            return f"fault {fault.reason}"
        return "decoded"

    objects = [b'{"level":45,"status":{"battery":[3600]},"lid":"open","at":1795136400000}']
    outputs = [b'{"data":{"level":45},"warnings":[]}', b'{"errors":["bad"]}']
    return [
        Taker("far", "decoder's output", outputs, given, mutated_text),
        Taker("far", "field map", objects,
              refusing(lambda data: decode(Payload(data)), Undecodable, taken="decoded"),
              mutated_text),
    ]  # fmt: skip


class _Engine:
    """The engine's one exception, for where there is no engine."""

    class JSException(Exception):
        """A decoder threw."""
