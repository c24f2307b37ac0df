"""Messages out of the process, into real servers on loopback: taken, refused, away, back again."""

from __future__ import annotations

import asyncio
import email
import email.policy
import tomllib
from pathlib import Path

import aiohttp
import msgspec
import pytest

from ingest.alerts.delivery import Delivery
from ingest.alerts.desk import DeskFile, desk_path, load_desk, save_desk
from ingest.alerts.message import compose
from ingest.alerts.news import Box, Told
from ingest.alerts.newsroom import Newsroom
from ingest.alerts.receivers import TEMPLATE_CHARACTERS_MAX, Away, Taken, receivers
from ingest.alerts.settings import AlertSettings, Email, Telegram, Webhook, check_alerts
from ingest.rules import RULES, Severity
from tests.ingest.alerts.local_servers import http_receiver, mail_server
from tests.ingest.alerts.test_message import NOW, news
from tests.ingest.stores.databases import HandClock
from tests.secret_file import write_secret
from wire.configuration import ConfigurationError

MANY = [news(device=f"bin-{number}") for number in range(500)]


def secret(folder: Path, text: str = "123:SECRET") -> str:
    path = folder / "token"
    write_secret(path, text + "\n")
    return str(path)


def test_telegram_is_sent_one_plain_text_of_500_alerts(tmp_path: Path) -> None:
    async def main() -> None:
        async with http_receiver() as server, aiohttp.ClientSession() as session:
            own = Telegram(chat="-100", token_file=secret(tmp_path), api_url=server.url)
            settings = AlertSettings(telegram=(own,))
            (sending,) = receivers(settings, session).values()
            assert await sending.send(compose(MANY, settings, NOW)) == Taken()
            ((_, path, _, body),) = server.requests
            assert path == "/bot123:SECRET/sendMessage"
            assert isinstance(body, dict)
            assert set(body) == {"chat_id", "text", "link_preview_options"}
            assert len(str(body["text"]).encode("utf-16-le")) <= 2 * 4096

    asyncio.run(main())


def test_a_token_that_others_may_read_is_not_taken_up_and_the_one_before_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with http_receiver() as server, aiohttp.ClientSession() as session:
            own = Telegram(chat="-100", token_file=secret(tmp_path), api_url=server.url)
            settings = AlertSettings(telegram=(own,))
            (sending,) = receivers(settings, session).values()
            assert await sending.send(compose(MANY, settings, NOW)) == Taken()
            Path(secret(tmp_path, "456:NEXT")).chmod(0o644)
            assert await sending.send(compose(MANY, settings, NOW)) == Taken()
            Path(own.token_file).chmod(0o640)
            assert await sending.send(compose(MANY, settings, NOW)) == Taken()
            paths = [path for _, path, _, _ in server.requests]
            tokens = "123:SECRET", "123:SECRET", "456:NEXT"
            assert paths == [f"/bot{token}/sendMessage" for token in tokens]
        assert f"chmod 640 {own.token_file}" in caplog.text
        assert "SECRET" not in caplog.text
        assert "NEXT" not in caplog.text

    asyncio.run(main())


def test_a_busy_telegram_says_how_long_to_wait_and_the_token_stays_secret(tmp_path: Path) -> None:
    async def main() -> None:
        async with http_receiver() as server, aiohttp.ClientSession() as session:
            server.status = 429
            server.answer = {"parameters": {"retry_after": 33}, "description": "bot123:SECRET"}
            own = Telegram(chat="-100", token_file=secret(tmp_path), api_url=server.url)
            settings = AlertSettings(telegram=(own,))
            (sending,) = receivers(settings, session).values()
            fate = await sending.send(compose(MANY[:1], settings, NOW))
            assert isinstance(fate, Away)
            assert fate.retry_after_s == 33
            assert "SECRET" not in fate.why
            await session.close()
        async with aiohttp.ClientSession() as session:
            (sending,) = receivers(settings, session).values()
            gone = await sending.send(compose(MANY[:1], settings, NOW))
            assert isinstance(gone, Away)
            assert "SECRET" not in gone.why

    asyncio.run(main())


def test_mail_arrives_with_its_text_and_a_refusal_is_named() -> None:
    async def main() -> None:
        async with mail_server() as server, aiohttp.ClientSession() as session:
            own = Email(
                host="127.0.0.1",
                port=server.port,
                security="none",
                sender="gampong@city.example",
                to=("malam@city.example", "siang@city.example"),
            )
            settings = AlertSettings(email=(own,))
            (sending,) = receivers(settings, session).values()
            message = compose([news("ap_down", "wifi-1")], settings, NOW)
            assert await sending.send(message) == Taken()
            (text,) = server.mails
            mail = email.message_from_string(text, policy=email.policy.default)
            assert mail["Subject"] == "gampong: 1 peringatan baru, 1 kritis"
            assert mail["To"] == "malam@city.example, siang@city.example"
            assert mail.get_content().strip() == message.text
            server.refusal = "554 no"
            refused = await sending.send(message)
            assert isinstance(refused, Away)
            assert "554" in refused.why
        gone = await sending.send(message)
        assert isinstance(gone, Away)

    asyncio.run(main())


def test_the_webhook_gets_every_change_with_a_bearer(tmp_path: Path) -> None:
    async def main() -> None:
        async with http_receiver() as server, aiohttp.ClientSession() as session:
            own = Webhook(url=f"{server.url}/hook?key=1", token_file=secret(tmp_path))
            settings = AlertSettings(webhook=(own,), runbook_url="https://city.example/r")
            (sending,) = receivers(settings, session).values()
            assert await sending.send(compose(MANY[:3], settings, NOW)) == Taken()
            ((_, path, headers, body),) = server.requests
            assert (path, headers["Authorization"]) == ("/hook", "Bearer 123:SECRET")
            assert isinstance(body, dict)
            assert (body["version"], len(body["changes"]), body["more"]) == (1, 3, 0)
            first = body["changes"][0]
            assert first["rule"] == "bin_full"
            assert (first["site"], first["device"], first["shown"]) == ("pasar", "bin-0", "91 %")
            assert first["runbook"] == "https://city.example/r#bin_full"

    asyncio.run(main())


def test_whatsapp_is_one_approved_template_a_number_on_one_line(tmp_path: Path) -> None:
    async def main() -> None:
        async with http_receiver() as server, aiohttp.ClientSession() as session:
            own = Webhook(
                url=server.url,
                format="whatsapp",
                token_file=secret(tmp_path),
                to=("6281", "6282"),
                template="gampong_alert/id",
            )
            settings = AlertSettings(webhook=(own,))
            (sending,) = receivers(settings, session).values()
            assert await sending.send(compose(MANY, settings, NOW)) == Taken()
            bodies = server.bodies()
            assert [body["to"] for body in bodies] == ["6281", "6282"]
            template = msgspec.convert(bodies[0]["template"], dict[str, object])
            assert (template["name"], template["language"]) == ("gampong_alert", {"code": "id"})
            ((component),) = msgspec.convert(template["components"], list[dict[str, object]])
            ((text),) = msgspec.convert(component["parameters"], list[dict[str, str]])
            assert len(text["text"]) <= TEMPLATE_CHARACTERS_MAX
            assert "\n" not in text["text"]
            assert "    " not in text["text"]

    asyncio.run(main())


def test_a_number_that_has_the_message_does_not_get_it_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with http_receiver() as server, aiohttp.ClientSession() as session:
            own = Webhook(url=server.url, format="whatsapp", to=("6281", "6282"))
            settings = AlertSettings(webhook=(own,))
            (sending,) = receivers(settings, session).values()
            message = compose(MANY[:1], settings, NOW)
            sending._reached = message, {"6281"}  # type: ignore[attr-defined]
            assert await sending.send(message) == Taken()
            assert [body["to"] for body in server.bodies()] == ["6282"]

    asyncio.run(main())


def test_what_a_receiver_misses_is_one_message_when_it_is_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with http_receiver() as server, aiohttp.ClientSession() as session:
            settings = AlertSettings(webhook=(Webhook(url=server.url),))
            sendings = receivers(settings, session)
            ((name, sending),) = sendings.items()
            path = desk_path(tmp_path / "registry.json")
            room = Newsroom(path, {name: sending.settings})
            delivery = Delivery(settings, room, sendings, session, HandClock())
            assert await delivery.deliver(name, sending) is None
            box = room.boxes[name]
            server.status = 503
            box.put([news(), news("ap_down", "wifi-1")])
            assert isinstance(await delivery.deliver(name, sending), Away)
            box.put([news(became="clears")])
            await room.save()
            again = Newsroom(path, {name: sending.settings})  # the watch starts again
            delivery = Delivery(settings, again, sendings, session, HandClock())
            server.status = 200
            assert await delivery.deliver(name, sending) == Taken()
            told = msgspec.convert(server.bodies()[-1]["changes"], list[dict[str, object]])
            assert [one["became"] for one in told] == ["fires", "fires", "clears"]
            assert await delivery.deliver(name, sending) is None
            kept = load_desk(path).boxes[name]
            assert (kept.due, kept.sent, kept.failed) == ([], 1, 1)

    asyncio.run(main())


def test_at_night_only_the_worst_goes_out_and_the_rest_in_the_morning(tmp_path: Path) -> None:
    async def main() -> None:
        async with http_receiver() as server, aiohttp.ClientSession() as session:
            settings = AlertSettings(
                webhook=(Webhook(url=server.url),), quiet_from="22:00", quiet_until="05:00"
            )
            sendings = receivers(settings, session)
            ((name, sending),) = sendings.items()
            room = Newsroom(desk_path(tmp_path / "registry.json"), {name: sending.settings})
            clock = HandClock()
            delivery = Delivery(settings, room, sendings, session, clock)
            room.boxes[name].put([news(), news("ap_down", "wifi-1"), news("bin_full", "bin-2")])
            clock.ms = NOW - 6 * 3_600_000  # 02:00
            await delivery.deliver(name, sending)
            assert await delivery.deliver(name, sending) is None
            clock.ms = NOW - 3 * 3_600_000 + 60_000  # 05:01
            await delivery.deliver(name, sending)
            said = [msgspec.convert(b["changes"], list[dict[str, object]]) for b in server.bodies()]
            assert [[one["device"] for one in changes] for changes in said] == [
                ["wifi-1"],
                ["bin-1", "bin-2"],
            ]

    asyncio.run(main())


def test_the_heartbeat_goes_out_after_each_round_and_a_deaf_switch_is_counted(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with http_receiver() as server, aiohttp.ClientSession() as session:
            settings = AlertSettings(heartbeat_url=f"{server.url}/ping")
            room = Newsroom(desk_path(tmp_path / "registry.json"), {})
            delivery = Delivery(settings, room, {}, session, HandClock())
            async with asyncio.TaskGroup() as group:
                task = group.create_task(delivery.run())
                for status, name in ((200, "heartbeats"), (500, "heartbeats_failed")):
                    server.status = status
                    delivery.beat()
                    async with asyncio.timeout(10):
                        while not delivery.counts[name]:  # noqa: ASYNC110
                            await asyncio.sleep(0.01)
                task.cancel()
            assert [path for _, path, _, _ in server.requests] == ["/ping", "/ping"]

    asyncio.run(main())


def test_a_receiver_is_told_of_its_sites_and_severities_only(tmp_path: Path) -> None:
    own = Webhook(url="http://x/", sites=("pasar",), severities=(Severity.CRITICAL,))
    room = Newsroom(desk_path(tmp_path / "registry.json"), {"a": own})
    firing = {
        (one.rule, one.place.device, "", NOW): one
        for one in (
            news("ap_down", "wifi-1"),
            news("ap_down", "wifi-2", site="ulee"),
            news("bin_full", "bin-1"),
        )
    }
    room.tell(firing, (), {}, NOW)
    assert [one.place.device for one in room.boxes["a"].due] == ["wifi-1"]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('time_zone = "Mars/Olympus"', "alerts.time_zone"),
        ('quiet_from = "22:00"', "alerts.quiet_until"),
        ('opens = "8"', "alerts.opens"),
        ('link = "city.example"', "alerts.link"),
        ('[[limit]]\nrule = "bin_fool"\nfires = 1.0\nclears = 0.5', "alerts.limit.rule"),
        ('[[limit]]\nrule = "bin_full"\nfires = 0.5\nclears = 0.9', "alerts.limit.clears"),
        ('[[telegram]]\nchat = "1"\ntoken_file = "/nowhere"', "alerts.telegram.token_file"),
        ('[[email]]\nhost = "x"\nsender = "a@b"\nto = []', "alerts.email.to"),
        ('[[email]]\nhost = "x"\nsender = "a@b\\r\\nBcc: c@d"\nto = ["a@b"]', "alerts.email"),
        ('[[webhook]]\nurl = "http://x"\nformat = "whatsapp"', "alerts.webhook.to"),
    ],
)
def test_a_bad_alerts_table_names_its_key_before_any_connection(text: str, key: str) -> None:
    settings = msgspec.convert(tomllib.loads(text), AlertSettings)
    with pytest.raises(ConfigurationError, match=key):
        check_alerts(settings, "ingest.toml")


def test_every_rule_has_its_section_in_the_runbook() -> None:
    text = (Path(__file__).parents[3] / "docs" / "runbook.md").read_text(encoding="utf-8")
    headings = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert sorted(headings) == sorted(RULES)
    for section in text.split("\n## ")[1:]:
        assert "- **Do**" in section or "- **Look at** and **do**" in section, section
        rule = RULES[section.partition("\n")[0]]
        assert section.splitlines()[1].startswith(f"*{rule.title.id} · {rule.severity}"), rule.id


def test_what_waits_of_a_rule_that_is_no_more_is_let_go(tmp_path: Path) -> None:
    path = desk_path(tmp_path / "registry.json")
    gone = msgspec.structs.replace(news(), rule="bin_blue")
    kept = DeskFile(
        told=[Told(("bin_blue", "bin-1", "", NOW), gone), Told(("bin_full", "b", "", NOW), news())],
        boxes={"a": Box(due=[gone, news()])},
    )
    save_desk(path, msgspec.json.encode(kept))
    room = Newsroom(path, {"a": Webhook(url="http://x/")})
    assert [one.rule for one in room.told.values()] == ["bin_full"]
    assert [one.rule for one in room.boxes["a"].due] == ["bin_full"]


def test_a_damaged_desk_is_named_with_its_remedy(tmp_path: Path) -> None:
    path = desk_path(tmp_path / "registry.json")
    path.write_text('{"silences": [')
    with pytest.raises(ConfigurationError, match=r"alerts\.json.*Move it away"):
        Newsroom(path, {})


def test_a_folder_that_cannot_be_written_is_said_and_alerts_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    room = Newsroom(desk_path(tmp_path / "nowhere" / "registry.json"), {})
    asyncio.run(room.save())
    assert "event=desk_not_saved" in caplog.text
