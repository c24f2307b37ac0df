"""Signed events over HTTP: 200 only for what is committed, and a word for all that isn't."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import pytest

from devices.signature import Rule, sign
from edge.configuration import load_configuration
from edge.link_files import sender_secrets
from edge.links.make import make_links
from edge.links.told import KEPT_MS, Told
from edge.links.webhook import CONNECTIONS_MAX, WebhookLink
from tests.edge.links.heard import Heard, running, until
from tests.edge.links.sender import (
    NEXT,
    NOW_MS,
    SECOND,
    SECRET,
    answered,
    configured,
    deposit,
    payment,
    post,
    signed,
    toml,
    written,
)
from tests.edge.test_intake import HandClock
from wire.clock import SystemClock
from wire.configuration import ConfigurationError
from wire.small_file import OpenToOthers


class Door:
    """A running link, its sink, and somebody who posts."""

    def __init__(self, link: WebhookLink, sink: Heard, clock: HandClock) -> None:
        self.link, self.sink, self.clock = link, sink, clock

    async def post(
        self, body: bytes, path: str = "/payments", secret: str = SECRET, age_s: int = 0
    ) -> tuple[int, str]:
        headers = signed(body, self.clock.now_ms() - 1000 * age_s, secret)
        return await post(self.link.port, body, headers, path)

    @property
    def errors(self) -> dict[str, int]:
        return self.link.status().errors


@asynccontextmanager
async def door(
    folder: Path, request_s: float = 5.0, trusted: Callable[[], bool] = lambda: True
) -> AsyncIterator[Door]:
    sink, clock = Heard(), HandClock(NOW_MS + 1000)
    (link,) = make_links(configured(folder, request_s), sink, clock, trusted)
    assert isinstance(link, WebhookLink)
    async with running(link):
        await until(lambda: link.status().state == "up")
        yield Door(link, sink, clock)


def played(scenario: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(scenario())


def test_a_settled_payment_is_answered_only_once_it_is_committed(tmp_path):
    async def scenario():
        async with door(tmp_path) as at:
            at.sink.holding = True
            async with asyncio.TaskGroup() as group:
                asking = group.create_task(at.post(payment()))
                await until(lambda: at.sink.together == 1)
                assert not asking.done()
                at.sink.commit()
            assert asking.result() == (200, "stored")
            (uplink,) = at.sink.uplinks
            assert (uplink.dev_eui, uplink.decoded) == ("terminal-b", payment())

    played(scenario)


def test_the_first_device_that_fits_takes_it_and_no_other(tmp_path):
    async def scenario():
        async with door(tmp_path) as at:
            assert await at.post(payment("one", store="a")) == (200, "stored")
            assert await at.post(payment("two", store="z")) == (200, "stored")
            assert await at.post(deposit(), "/deposits") == (200, "stored")
            names = [uplink.dev_eui for uplink in at.sink.uplinks]
            assert names == ["terminal-a", "terminal-b", "bank-1"]

    played(scenario)


def test_a_payment_that_is_told_again_is_one_payment_even_after_a_restart_or_at_another_time(
    tmp_path,
):
    later = payment(settlement_time="2026-09-21 21:13:25")

    async def scenario():
        async with door(tmp_path) as at:
            assert await at.post(payment()) == (200, "stored")
            assert await at.post(payment()) == (200, "repeat")
            assert await at.post(payment(), age_s=250) == (200, "repeat")
        async with door(tmp_path) as at:
            assert await at.post(later) == (200, "repeat")
            assert at.sink.uplinks == []
            assert at.errors == {"repeat": 1}
            assert at.sink.refusals == {("terminal-b", "repeat"): 1}

    played(scenario)


def test_a_payment_told_again_with_another_amount_is_a_conflict_and_the_first_one_stands(tmp_path):
    async def scenario():
        async with door(tmp_path) as at:
            assert await at.post(payment(amount="2000.00")) == (200, "stored")
            assert await at.post(payment(amount="9000.00")) == (409, "changed")
            assert await at.post(payment(amount=2000, store="a")) == (409, "changed")
            assert len(at.sink.uplinks) == 1

    played(scenario)


def test_what_is_forged_stale_or_not_signed_is_refused_and_counted(tmp_path):
    async def scenario():
        async with door(tmp_path) as at:
            assert await at.post(payment(), secret="somebody else's secret") == (401, "signature")
            assert await at.post(payment(), age_s=301) == (401, "stale")
            assert await post(at.link.port, payment(), {}) == (401, "unsigned")
            headers = signed(payment(), at.clock.now_ms())
            other = await post(at.link.port, payment(amount="9000.00"), headers)
            assert other == (401, "signature")
            assert at.sink.uplinks == []
            assert at.errors == {"signature": 2, "stale": 1, "unsigned": 1}
            assert sum(at.sink.noises.values()) == 4

    played(scenario)


def test_a_new_secret_follows_the_old_one_without_a_stop(tmp_path):
    async def scenario():
        async with door(tmp_path) as at:
            assert await at.post(payment("one"), secret=NEXT) == (200, "stored")
            assert await at.post(payment("two"), secret=SECRET) == (200, "stored")
            (tmp_path / "old.secret").write_text("a third one, from today")
            assert await at.post(payment("three"), secret=NEXT) == (401, "signature")
            third = await at.post(payment("three"), secret="a third one, from today")
            assert third == (200, "stored")

    played(scenario)


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (payment(amount="1000000.00"), (200, "stored")),
        (payment(amount="1000001.00"), (422, "range")),
        (payment(amount="1e9"), (422, "range")),
        (payment(amount="-500"), (422, "range")),
        (payment(amount="12.50"), (422, "type")),
        (payment(amount="much"), (422, "type")),
        (payment(amount=None), (422, "format")),
        (payment(transaction=""), (422, "type")),
        (payment(transaction="<script>"), (422, "format")),
        (payment(transaction="x" * 65), (422, "format")),
        (payment(settlement_time="yesterday"), (422, "time")),
        (payment(settlement_time="2026-08-01 00:00:00"), (422, "time")),
        (payment(settlement_time="2026-09-21 21:30:00"), (422, "time")),
        (payment(status="pending"), (200, "nobodys")),
        (b"{}", (200, "nobodys")),
        (b"[" * 30_000, (400, "garbage")),
        (b'{"a": \xff}', (400, "garbage")),
        (b"", (400, "garbage")),
    ],
)
def test_what_is_no_settled_payment_is_never_taken_for_one(tmp_path, body, answer):
    async def scenario():
        async with door(tmp_path) as at:
            assert await at.post(body) == answer
            assert len(at.sink.uplinks) == (answer[1] == "stored")
            assert at.errors == ({} if answer[1] == "stored" else {answer[1]: 1})

    played(scenario)


def test_a_deposit_of_nobodys_name_is_taken_and_one_that_cannot_be_is_not(tmp_path):
    async def scenario():
        async with door(tmp_path) as at:
            assert await at.post(deposit("d-1"), "/deposits") == (200, "stored")
            assert await at.post(deposit("d-2", waste_kind="gold"), "/deposits") == (422, "range")
            assert await at.post(deposit("d-3", weight_kg=-1), "/deposits") == (422, "range")
            assert await at.post(deposit("d-4", bank="no"), "/deposits") == (200, "nobodys")

    played(scenario)


def test_other_addresses_and_methods_are_told_so(tmp_path):
    async def scenario():
        async with door(tmp_path) as at:
            headers = signed(payment(), at.clock.now_ms())
            port = at.link.port
            assert await post(port, payment(), headers, "/") == (404, "address")
            assert await post(port, payment(), headers, "/../payments") == (404, "address")
            assert await post(port, payment(), headers, "/payments/?x=1") == (200, "stored")
            for method in ("GET", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
                assert await post(port, b"", {}, method=method) == (405, "method")
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"HEAD /payments HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 405 ")
            writer.close()
            upgrade = {"Connection": "upgrade", "Upgrade": "websocket"}
            assert (await post(port, b"", upgrade, method="GET"))[0] in (400, 405)

    played(scenario)


def test_when_the_disk_is_full_the_sender_is_asked_to_come_again_and_nothing_is_noted(tmp_path):
    async def scenario():
        async with door(tmp_path) as at:
            at.sink.accepting = False
            assert await at.post(payment()) == (503, "not_accepted")
            at.sink.accepting = True
            assert await at.post(payment()) == (200, "stored")
            assert at.errors == {"not_accepted": 1}

    played(scenario)


def test_one_number_twice_at_once_is_taken_once(tmp_path):
    async def scenario():
        async with door(tmp_path) as at:
            at.sink.holding = True
            async with asyncio.TaskGroup() as group:
                first = group.create_task(at.post(payment()))
                await until(lambda: at.sink.together == 1)
                assert await at.post(payment()) == (503, "under_way")
                at.sink.commit()
            assert first.result() == (200, "stored")
            assert await at.post(payment()) == (200, "repeat")

    played(scenario)


def test_slow_clients_keep_nobody_out(tmp_path):
    async def scenario():
        async with door(tmp_path, request_s=60) as at:
            slow = [
                await asyncio.open_connection("127.0.0.1", at.link.port)
                for _ in range(CONNECTIONS_MAX + 20)
            ]
            for _, writer in slow:
                writer.write(b"POST /payments HTTP/1.1\r\nHost: x\r\n")
            await until(lambda: at.errors.get("slow", 0) >= 20)
            assert await at.post(payment()) == (200, "stored")
            for _, writer in slow:
                writer.close()

    played(scenario)


def test_a_request_that_does_not_end_is_ended(tmp_path):
    async def scenario():
        async with door(tmp_path, request_s=1.0) as at:
            reader, writer = await asyncio.open_connection("127.0.0.1", at.link.port)
            writer.write(written(payment(), signed(payment(), NOW_MS))[:-1])
            assert answered(await reader.read()) == (408, "slow")
            writer.close()
            assert await at.post(payment()) == (200, "stored")

    played(scenario)


@pytest.mark.parametrize(
    ("request_bytes", "answer"),
    [
        (b"POST /payments HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n",
         (413, "too_large")),
        (
            b"POST /payments HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"8000\r\n" + b"x" * 0x8000 + b"\r\n8001\r\n" + b"x" * 0x8001 + b"\r\n",
            (413, "too_large"),
        ),
        (b"POST /payments HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 40_000 + b"\r\n\r\n",
         (431, "not_http")),
        (b"POST /payments HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
         (400, "not_http")),
        (b"CONNECT /payments HTTP/1.1\r\nHost: x\r\n\r\n", (405, "method")),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", (400, "not_http")),
        (b"POST /payments HTTP/1.1\r\nContent-Length: -1\r\nHost: x\r\n\r\n", (400, "not_http")),
    ],
)  # fmt: skip
def test_what_is_too_large_or_not_http_is_refused(tmp_path, request_bytes, answer):
    async def scenario():
        async with door(tmp_path) as at:
            reader, writer = await asyncio.open_connection("127.0.0.1", at.link.port)
            writer.write(request_bytes)
            assert answered(await reader.readuntil(b"}\n")) == answer
            writer.close()
            assert await at.post(payment()) == (200, "stored")

    played(scenario)


def test_any_bytes_at_all_leave_the_door_open(tmp_path, seed):
    draw = random.Random(seed)

    async def scenario():
        async with door(tmp_path) as at:
            whole = written(payment(), signed(payment(), NOW_MS))
            for _ in range(60):
                data = bytearray(whole)
                for _ in range(draw.randrange(1, 6)):
                    data[draw.randrange(len(data))] = draw.randrange(256)
                _, writer = await asyncio.open_connection("127.0.0.1", at.link.port)
                writer.write(data[: draw.randrange(len(data))])
                writer.close()
            assert await at.post(payment("after")) == (200, "stored")

    played(scenario)


def test_a_secret_that_everybody_may_read_opens_no_door(tmp_path):
    text = toml(tmp_path)
    assert text
    files = [str(tmp_path / "new.secret"), str(tmp_path / "old.secret")]
    assert sender_secrets(files) == [SECRET.encode(), NEXT.encode()]
    (tmp_path / "new.secret").chmod(0o644)
    with pytest.raises(OpenToOthers, match="chmod 640"):
        sender_secrets(files)
    (tmp_path / "new.secret").chmod(0o600)
    (tmp_path / "new.secret").write_text("short")
    with pytest.raises(ConfigurationError, match="too short"):
        sender_secrets(files)


def test_a_secret_that_is_gone_later_answers_come_again_and_says_so(tmp_path):
    async def scenario():
        async with door(tmp_path) as at:
            (tmp_path / "new.secret").rename(tmp_path / "elsewhere")
            assert await at.post(payment()) == (503, "secret")
            assert at.link.status().state == "down"
            (tmp_path / "elsewhere").rename(tmp_path / "new.secret")
            assert await at.post(payment()) == (200, "stored")
            assert at.link.status().state == "up"

    played(scenario)


def test_a_secret_that_others_may_reach_later_isnt_taken_up_and_the_one_before_goes_on(tmp_path):
    third = "a third one, from today"

    async def scenario():
        async with door(tmp_path) as at:
            assert await at.post(payment("one")) == (200, "stored")
            (tmp_path / "new.secret").write_text(third)
            (tmp_path / "new.secret").chmod(0o644)
            assert await at.post(payment("two")) == (200, "stored")
            assert at.link.status().state == "up"
            assert "chmod 640" in at.link.status().detail
            # Signed with what we didn't take up: it is to be told again, and isn't lost.
            assert await at.post(payment("three"), secret=third) == (503, "secret")
            assert await at.post(payment("two"), secret=third, age_s=400) == (503, "secret")
            (tmp_path / "new.secret").chmod(0o640)
            assert await at.post(payment("three"), secret=third) == (200, "stored")
            assert at.link.status().detail == ""

    played(scenario)


def test_a_terminal_that_is_retired_and_added_again_is_paid_nothing_twice(tmp_path):
    """Numbers are the sender's, not the device's: they outlast it, and no other gets its event."""
    text = toml(tmp_path)
    first = text.index('[[device]]\nname = "terminal-a"')
    retired = text[:first] + text[text.index('[[device]]\nname = "terminal-b"') :]
    renamed = text.replace("terminal-a", "terminal-c")

    async def told(text: str) -> tuple[int, str]:
        sink, clock = Heard(), HandClock(NOW_MS + 1000)
        (link,) = make_links(load_configuration(text, "gateway.toml"), sink, clock)
        assert isinstance(link, WebhookLink)
        async with running(link):
            await until(lambda: link.status().state == "up")
            body = payment("one", store="a")
            return await post(link.port, body, signed(body, clock.now_ms()))

    async def scenario():
        assert await told(text) == (200, "stored")
        assert await told(retired) == (409, "changed")  # terminal-b would take what is new
        assert await told(text) == (200, "repeat")
        assert await told(renamed) == (409, "changed")

    played(scenario)


def test_until_the_time_is_known_nothing_is_taken(tmp_path):
    async def scenario():
        async with door(tmp_path, trusted=lambda: False) as at:
            assert await at.post(payment()) == (503, "clock")

    played(scenario)


def test_known_numbers_are_bounded_and_a_damaged_file_is_moved_aside(tmp_path):
    path = tmp_path / "numbers.db"
    told = Told(str(path), "a")
    for number in range(10):
        told.note(str(number), b"said", NOW_MS + number)
    other = Told(str(path), "b")
    assert other.said("3") is None
    other.close()
    told.sweep(NOW_MS, numbers_max=4)
    assert [told.said(str(number)) for number in range(10)] == [None] * 6 + [b"said"] * 4
    told.sweep(NOW_MS + 10 + KEPT_MS)
    assert told.said("9") is None
    told.close()
    path.write_bytes(b"not a database, whatever it was before" * 100)
    fresh = Told(str(path), "a")
    assert fresh.said("9") is None
    fresh.note("9", b"said", NOW_MS)
    fresh.close()
    assert path.with_name("numbers.db.damaged").exists()


CONFLICTS = [
    ('secret_files = ["', 'time_header = ""\nsecret_files = ["', "TOML"),
    ('secret_files = ["', 'order_suffix = "-g"\nsecret_files = ["', "order_suffix"),
    ('listen = "127.0.0.1:0"', 'listen = "127.0.0.1"', "listen"),
    ('listen = "127.0.0.1:0"', 'amount_idr_max = 0', "amount_idr_max"),
    ("scheme = \"hmac-sha512\"", "scheme = \"token\"", "time_header"),
    ('header = "X-Callback-Signature"', 'header = "X Y"', "header"),
    ('topic = "deposits"', 'topic = ""', "topic"),
    ('kind = "waste_deposit"', 'kind = "environment"', "field_map.bank"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "key"), CONFLICTS)
def test_a_door_that_could_not_be_guarded_is_refused_before_it_opens(tmp_path, old, new, key):
    with pytest.raises(ConfigurationError, match=key):
        load_configuration(toml(tmp_path).replace(old, new, 1), "gateway.toml")


def test_with_midtrans_only_what_it_signs_says_which_payment_it_is_and_what_it_is_worth(tmp_path):
    text = toml(tmp_path).replace('scheme = "hmac-sha512"', 'scheme = "midtrans"')
    text = text.replace('time_header = "X-Callback-Time"', "")
    text = text[: text.index('[[device]]\nname = "bank-1"')]
    with pytest.raises(ConfigurationError, match="isn't signed by Midtrans"):
        load_configuration(text, "gateway.toml")
    text = text.replace("transaction_id", "order_id")
    good = load_configuration(text, "gateway.toml")
    assert [device.name for device in good.device] == ["terminal-a", "terminal-b"]


def midtrans(secret: str = SECRET, **told: str) -> bytes:
    """An event that pays 2,000 rupiah for `trx-1`, signed as Midtrans does; then changed."""
    said = {"order_id": "trx-1", "status_code": "200", "gross_amount": "2000.00"}
    said |= {name: value for name, value in told.items() if name in said}
    key = hashlib.sha512("".join((*said.values(), secret)).encode()).hexdigest()
    other = {"status": "settlement", "store": "a", "settlement_time": SECOND}
    return json.dumps({**said, **other, "signature_key": key, **told}).encode()


def test_of_midtrans_only_what_is_paid_by_its_signed_status_is_a_payment(tmp_path):
    text = toml(tmp_path).replace('scheme = "hmac-sha512"', 'scheme = "midtrans"')
    text = text.replace('time_header = "X-Callback-Time"', "").replace("transaction_id", "order_id")
    text = text[: text.index('[[device]]\nname = "bank-1"')]

    async def scenario():
        sink, clock = Heard(), HandClock(NOW_MS + 1000)
        (link,) = make_links(load_configuration(text, "gateway.toml"), sink, clock)
        assert isinstance(link, WebhookLink)
        async with running(link):
            await until(lambda: link.status().state == "up")
            # Pending, and somebody who has seen it says that it is settled.
            assert await post(link.port, midtrans(status_code="201"), {}) == (200, "nobodys")
            assert await post(link.port, midtrans(secret="not Midtrans's"), {}) == (
                401,
                "signature",
            )
            assert await post(link.port, midtrans(), {}) == (200, "stored")
            assert [uplink.dev_eui for uplink in sink.uplinks] == ["terminal-a"]

    played(scenario)


def test_over_mqtt_a_signature_stands_beside_the_text(tmp_path, mosquitto):
    rule = Rule()
    text = toml(tmp_path)
    for old, new in (
        ('type = "webhook"', 'type = "json"'),
        ('listen = "127.0.0.1:0"', f"broker = {{ port = {mosquitto.port} }}"),
        ("request_s = 5.0", ""),
        (f'numbers_path = "{tmp_path}/numbers.db"', ""),
        ('time_header = "X-Callback-Time"', ""),
        ('header = "X-Callback-Signature"', ""),
        ("hmac-sha512", "hmac-sha256"),
    ):
        text = text.replace(old, new)

    def message(body: bytes, secret: str) -> bytes:
        return json.dumps({"body": body.decode(), **sign(rule, secret.encode(), body, 0)}).encode()

    async def scenario():
        sink = Heard()
        (link,) = make_links(load_configuration(text, "gateway.toml"), sink, SystemClock())
        async with running(link), aiomqtt.Client(mosquitto.host, mosquitto.port) as client:
            await until(lambda: link.status().state == "up")
            for data in (payment("plain"), message(payment("forged"), "another secret of 16")):
                await client.publish("payments", data, qos=1)
            await client.publish("payments", message(payment("good", store="z"), NEXT), qos=1)
            await until(lambda: sink.uplinks)
            assert link.status().errors == {"unsigned": 1, "signature": 1}
            # One that others may read isn't taken up; what it has signed waits at the broker.
            (tmp_path / "new.secret").write_text("a third one, from today")
            (tmp_path / "new.secret").chmod(0o644)
            await client.publish("payments", message(payment("old"), SECRET), qos=1)
            await until(lambda: len(sink.uplinks) == 2)
            third = message(payment("third"), "a third one, from today")
            await client.publish("payments", third, qos=1)
            await until(lambda: "chmod 640" in link.status().detail)
            (tmp_path / "new.secret").chmod(0o640)
            await until(lambda: len(sink.uplinks) >= 3)
        ours = [json.loads(one.decoded)["transaction_id"] for one in sink.uplinks]
        assert ours == ["good", "old", "third"]

    played(scenario)
