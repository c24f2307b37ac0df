"""Rates of a gateway's last hour: failed reads, and a backlog that grows."""

from __future__ import annotations

from ingest.rates import READS_MIN, Rates
from wire.messages import Ledger, LinkStatus, Status


def status(errors: int = 0, taken: int = 0, waiting: int = 0, card: float | None = None) -> Status:
    links = (
        LinkStatus("rs485", "up", {"checksum": errors, "event_fetched": 900}),
        LinkStatus("lora", "down"),
    )
    ledger = Ledger(taken=taken, accepted=taken, waiting=waiting, stored=taken - waiting)
    return Status("gw-1", True, ledger=ledger, links=links, card_life_used=card)


def test_the_first_status_says_links_and_no_rates() -> None:
    fields = Rates().hear(status(errors=5, card=0.3), 0.0, 0.0)
    assert fields == {"links": 2, "links_down": 1, "link_errors": 5, "card_life_used": 0.3}


def test_failed_reads_are_a_share_of_the_last_hours() -> None:
    rates = Rates()
    for minute in range(121):
        errors = 0 if minute < 60 else 10 * (minute - 60)
        fields = rates.hear(status(errors, taken=90 * minute), minute * 60.0, 0.0)
        if minute == 60:
            assert fields["link_error_share"] == 0.0
    assert fields["link_error_share"] == 0.1


def test_few_reads_say_nothing_of_their_share() -> None:
    rates = Rates()
    rates.hear(status(), 0.0, 0.0)
    assert "link_error_share" not in rates.hear(status(errors=READS_MIN - 1), 60.0, 0.0)


def test_another_start_of_the_agent_forgets_its_counters() -> None:
    rates = Rates()
    rates.hear(status(errors=500, taken=10_000), 0.0, 0.0)
    assert "link_error_share" not in rates.hear(status(errors=3, taken=10_100), 600.0, 0.0)


def test_a_backlog_grows_when_more_waits_than_a_quarter_of_an_hour_ago() -> None:
    rates = Rates()
    for minute in range(40):
        more = rates.hear(status(taken=1000, waiting=10 * minute), minute * 60.0, minute * 60.0)
    assert more["backlog_growing_s"] == 39 * 60.0
    for minute in range(40, 80):
        less = rates.hear(status(taken=1000, waiting=800 - 10 * minute), minute * 60.0, 7200.0)
    assert less["backlog_growing_s"] == 0.0
