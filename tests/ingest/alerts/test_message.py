"""What people read: grouped, the worst first, never too long; told when it may be."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.alerts.message import UNITS_MAX, compose, shown_value, units
from ingest.alerts.news import BOX_MAX, Box, News, compare, ready
from ingest.alerts.settings import AlertSettings
from ingest.rules import RULES, Severity
from ingest.rules.forecast import HOURS_MAX
from ingest.rules.standing import Phase, Place, Standing

NOW = 1_793_581_200_000  # 2026-11-02 08:00 in Banda Aceh
SETTINGS = AlertSettings(
    link="https://city.example/", runbook_url="https://city.example/runbook", language="en"
)


def news(
    rule: str = "bin_full",
    device: str = "bin-1",
    *,
    site: str = "pasar",
    became: str = "fires",
    value: float = 0.91,
    found_ms: int = NOW,
    at_ms: int = NOW - 3_600_000,
) -> News:
    ended_ms = 0 if became in ("fires", "incident") else found_ms
    return News(rule, Place(device, "gw-1", site, "a"), became, at_ms, value, found_ms, ended_ms)


def test_a_message_names_what_where_since_when_and_what_to_do() -> None:
    said = compose(
        [
            news(device="bin-1"),
            news("bin_burning", "bin-7", became="incident", at_ms=NOW - 30 * 3_600_000),
            news("bin_full", "bin-2", became="clears"),
        ],
        SETTINGS,
        NOW,
    )
    assert said.subject == "2 new alerts, 1 critical"
    assert said.text == (
        "2 new alerts, 1 critical\n"
        "\n"
        "‼ pasar · bins\n"
        "Bin on fire: bin-7 (a) 01-11 02:00\n"
        "→ Call the fire service (113), then send somebody. Don't open the lid.\n"
        "Bin full: bin-1 91 % (a) 07:00\n"
        "→ Put it on the next collection.\n"
        "\n"
        "Over (1): bin-2 Bin full 07:00–08:00\n"
        "\n"
        "All: https://city.example/\n"
        "Runbook: https://city.example/runbook#bin_burning"
    )


def test_the_same_in_indonesian() -> None:
    own = msgspec.structs.replace(SETTINGS, language="id")
    said = compose([news("gateway_offline", "mahirah-01", value=1.0)], own, NOW)
    assert said.text.startswith(
        "1 peringatan baru, 1 kritis\n\n‼ pasar · gateway\nGateway terputus"
    )


@pytest.mark.parametrize("sites", [1, 5, 100, 500])
def test_500_alerts_are_one_message_that_telegram_takes(sites: int, seed: int) -> None:
    draw = random.Random(seed)
    some = [
        news(
            draw.choice([*RULES]),
            f"device-{'x' * 50}-{number:03}",
            site=f"site-{number % sites:03}-{'y' * 50}",
        )
        for number in range(500)
    ]
    some += [news(became="clears", device=f"bin-{number}") for number in range(200)]
    said = compose(some, SETTINGS, NOW, dropped=17)
    assert units(said.text) <= UNITS_MAX
    assert said.subject.startswith("500 new alerts")
    assert "17 older changes" in said.text
    assert said.text.endswith(f"#{sorted(some, key=_severity)[0].rule}") or "…" in said.text[-2:]
    assert len(said.entries) == 500
    assert said.more == 200


def _severity(one: News) -> tuple[int, str, str]:
    order = [*Severity]
    return order.index(one.severity), one.place.site, one.rule


@given(
    st.lists(
        st.tuples(st.sampled_from([*RULES]), st.sampled_from(["fires", "clears", "incident"])),
        max_size=60,
    )
)
def test_any_news_is_a_message_and_the_worst_stands_first(pairs: list[tuple[str, str]]) -> None:
    said = compose([news(rule, became=became) for rule, became in pairs], SETTINGS, NOW)
    assert units(said.text) <= UNITS_MAX
    begins = [str(entry["severity"]) for entry in said.entries if entry["became"] != "clears"]
    assert begins == sorted(begins, key=[severity.value for severity in Severity].index)


def test_a_device_named_as_markup_is_plain_text() -> None:
    said = compose([news(device="bin_1-_b_")], SETTINGS, NOW)
    assert "bin_1-_b_" in said.text


def test_in_quiet_hours_only_the_chosen_severities_pass_and_the_rest_is_one_summary() -> None:
    box = Box()
    box.put([news(), news("gateway_offline", "gw-1"), news(became="clears")])
    night = ready(box, NOW, quiet=(Severity.CRITICAL,), all_clear=False, wait_s=900)
    assert [one.rule for one in night] == ["gateway_offline"]
    box.took(night)
    day = ready(box, NOW, quiet=None, all_clear=False, wait_s=900)
    assert [one.became for one in day] == ["fires", "clears"]


def test_recoveries_wait_for_each_other_but_not_for_ever() -> None:
    box = Box()
    box.put([news(became="clears"), news(became="clears", device="bin-2")])
    soon, late = NOW + 60_000, NOW + 900_000
    assert ready(box, soon, quiet=None, all_clear=False, wait_s=900) == []
    assert len(ready(box, soon, quiet=None, all_clear=True, wait_s=900)) == 2
    assert len(ready(box, late, quiet=None, all_clear=False, wait_s=900)) == 2


def test_a_box_is_bounded_and_counts_what_falls_out() -> None:
    box = Box()
    box.put([news(device=f"bin-{number}", became="clears") for number in range(10)])
    box.put([news(device=f"bin-{number}") for number in range(BOX_MAX)])
    assert len(box.due) == BOX_MAX
    assert box.dropped == 10
    assert all(one.begins for one in box.due)
    box.took(list(box.due), 10)
    assert (box.due, box.dropped, box.lost, box.sent) == ([], 0, 10, 1)


def test_what_was_told_and_is_unknown_now_is_not_over() -> None:
    """The store lost its standings: nobody may say that it is mended."""
    key = ("bin_full", "bin-1", "", NOW)
    told, gone = {key: news()}, dict[tuple[str, str, str], Standing]()
    assert compare(told, {}, (), gone, NOW) == ([], told)
    clear = {key[:3]: Standing(news().place, Phase.CLEAR, NOW + 5, NOW + 5, 0.1)}
    said, after = compare(told, {}, (), clear, NOW + 9)
    assert [(one.became, one.ended_ms) for one in said] == [("clears", NOW + 5)]
    assert after == {}


@pytest.mark.parametrize(
    ("rule", "value", "shown"),
    [
        ("bin_full", 0.914, "91 %"),
        ("bin_full", 0.997, "99.7 %"),
        ("bin_overdue", 1.8484, "1.848 h"),
        ("bin_overdue", 2345.6, "2346 h"),
        ("bin_overdue", HOURS_MAX, "> 10000 h"),
        ("backlog_growing", 86_400.0, "86400 s"),
    ],
)
def test_a_value_is_shown_as_a_person_writes_it(rule, value, shown):
    assert shown_value(RULES[rule], value) == shown
