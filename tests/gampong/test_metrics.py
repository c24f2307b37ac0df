"""What `/metrics` says and who is answered: the server by itself, over real sockets."""

from __future__ import annotations

import asyncio
import re
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import fields

import pytest

from edge.configuration import load_configuration
from edge.durations import BOUNDS_S, Durations
from gampong.edge_metrics import edge_families
from gampong.ingest_metrics import NAMES, ingest_families
from gampong.metrics import (
    CONNECTIONS_MAX,
    HEAD_BYTES_MAX,
    REASONS_MAX,
    Answer,
    Family,
    by_reason,
    exposition,
    process_families,
    serve,
)
from gampong.top_command import parse_metrics
from ingest.counters import Counters
from tests.servers import free_port
from wire.configuration import ConfigurationError, Metrics
from wire.messages import Ledger, LinkStatus, Status

NAME = re.compile(r"[a-z_]+(_total|_bytes|_seconds|_ratio)?")
STATUS = Status(
    gateway="a-01",
    online=True,
    version='0.1 "x"\\\n',
    time_ms=10_000,
    ledger=Ledger(taken=9, refused={"length": 2}, accepted=7, waiting=3, stored=4),
    oldest_waiting_ms=4_000,
    alarms=("cloned",),
    links=(
        LinkStatus("bus", "up", {"bay-1:timeout": 2, "bay-2:timeout": 3, "late": 1}),
        LinkStatus("uart", "down"),
    ),
    card_life_used=0.25,
)


def all_families() -> list[Family]:
    times = Durations()
    for seconds in (0.05, 0.3, 400.0):
        times.note(seconds)
    counters = Counters(received=5, rejected=Counter(range=2))
    return [
        *edge_families(STATUS, times),
        *ingest_families(counters, listening=True, idle=False),
        *process_families(),
    ]


def served(client: Callable[[int], Awaitable[None]], page: str = "ok\n") -> None:
    """Run a client against a server with one page."""

    async def scenario() -> None:
        port = free_port()

        async def health() -> Answer:
            return Answer(200, page)

        async with asyncio.TaskGroup() as group:
            metrics = Metrics(listen=f"127.0.0.1:{port}")
            serving = group.create_task(serve(metrics, {"/healthz": health}))
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    await asyncio.sleep(0)
            async with asyncio.timeout(30):
                await client(port)
            serving.cancel()

    asyncio.run(scenario())


async def asked(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


def test_every_metric_is_named_typed_and_told_once_with_its_unit():
    families = all_families()
    names = [family.name for family in families]
    assert len(set(names)) == len(names)
    for family in families:
        assert NAME.fullmatch(family.name), family.name
        assert family.name.endswith("_total") == (family.kind == "counter"), family.name
        assert family.help.endswith(".")
    samples = list(parse_metrics(exposition(iter(families))))
    assert {s.labels["version"] for s in samples if s.name == "info"} == {r"0.1 \"x\"\\\n"}


def test_a_link_s_errors_are_told_by_reason_and_never_by_device():
    samples = parse_metrics(exposition(iter(all_families())))
    errors = {
        (s.labels["link"], s.labels["reason"]): s.value
        for s in samples
        if s.name == "link_errors_total"
    }
    assert errors == {("bus", "timeout"): 5, ("bus", "late"): 1}


def test_the_confirmation_histogram_adds_up():
    samples = list(parse_metrics(exposition(iter(all_families()))))
    buckets = {s.labels["le"]: s.value for s in samples if s.name == "confirm_seconds_bucket"}
    assert list(buckets.values()) == sorted(buckets.values())
    assert len(buckets) == len(BOUNDS_S) + 1
    assert (buckets["0.1"], buckets["0.5"], buckets["300"], buckets["+Inf"]) == (1, 2, 2, 3)
    (total,) = [s.value for s in samples if s.name == "confirm_seconds_sum"]
    assert total == pytest.approx(400.35)


def test_reasons_that_the_cloud_invents_are_bounded_and_none_is_lost():
    counts = {f"r{n:03}": 1 for n in range(REASONS_MAX + 10)}
    family = by_reason("x_total", "Help.", counts)
    assert len(family.samples) == REASONS_MAX + 1
    assert sum(value for _, _, value in family.samples) == len(counts)


def test_every_count_of_the_ingestor_has_a_metric():
    assert set(NAMES) == {field.name for field in fields(Counters)}


def test_a_stranger_is_answered_briefly_whatever_he_says():
    async def client(port: int) -> None:
        for request, code in (
            (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"200"),
            (b"GET /healthz?x=1 HTTP/1.0\r\n\r\n", b"200"),
            (b"GET /etc/passwd HTTP/1.1\r\n\r\n", b"404"),
            (b"POST /healthz HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", b"405"),
            (b"\x16\x03\x01\x02\x00\r\n\r\n", b"400"),
        ):
            assert (await asked(port, request)).split()[1] == code
        head = await asked(port, b"HEAD /healthz HTTP/1.1\r\n\r\n")
        assert head.endswith(b"\r\n\r\n")
        assert b"Content-Length: 3" in head
        assert await asked(port, b"x" * (HEAD_BYTES_MAX + 100)) == b""

    served(client)


def test_connections_that_say_nothing_do_not_keep_others_out_for_long():
    async def client(port: int) -> None:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CONNECTIONS_MAX)]
        waiting = asked(port, b"GET /healthz HTTP/1.1\r\n\r\n")
        assert b"200 OK" in await waiting
        for _, writer in silent:
            writer.close()

    served(client)


def test_an_address_that_is_taken_is_said_and_the_agent_goes_on(caplog):
    async def scenario() -> bool:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            metrics = Metrics(listen=f"127.0.0.1:{taken.getsockname()[1]}")
            try:
                async with asyncio.timeout(0.5):
                    await serve(metrics, {})
            except TimeoutError:
                return True  # it would have gone on
        return False

    assert asyncio.run(scenario())
    assert "metrics_down" in caplog.text
    assert "in use" in caplog.text


@pytest.mark.parametrize("listen", ["9464", "127.0.0.1:", "x:y", ":9464", "h:70000"])
def test_an_address_that_can_not_be_is_refused_with_the_configuration(listen):
    text = f'[gateway]\nname = "a"\nsite = "s"\n[metrics]\nlisten = "{listen}"\n'
    with pytest.raises(ConfigurationError, match=r"metrics\.listen"):
        load_configuration(text, "gateway.toml")


def test_nothing_listens_unless_it_is_asked_for():
    asyncio.run(serve(Metrics(), {}))  # returns at once
