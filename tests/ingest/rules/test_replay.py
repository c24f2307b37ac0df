"""Every rule does what its fixtures say: fires, doesn't, no data, late data, flapping, offline."""

from __future__ import annotations

import pytest

from dashboards.states import FILLING_FROM, FULL_ABOVE
from devices.kinds import KINDS
from ingest.rules import RULES, Level, Rule, Subject
from ingest.rules.evaluator import Evaluator
from ingest.rules.muting import Muting
from ingest.rules.standing import Place
from ingest.stores.kinds import ROLLED_UP_KINDS, STORED_KINDS
from tests.ingest.rules.replay import CASES, EIGHT_MS, FIXTURES, JAKARTA, SHOWS, Case, label

PLACE = Place("one", "gw-1", "pasar", "a")


@pytest.mark.parametrize(("rule", "device_kind", "case"), CASES, ids=label)
def test_the_evaluator_says_what_the_fixture_says(rule: Rule, device_kind: str, case: Case) -> None:
    evaluator = Evaluator(hours=JAKARTA)
    said, now_ms = [], EIGHT_MS
    for point, now_min in case.arrivals():
        time_ms, now_ms = EIGHT_MS + int(point.at_min * 60_000), EIGHT_MS + int(now_min * 60_000)
        changes = evaluator.take(rule.source, PLACE, point.fields, time_ms, now_ms, device_kind)
        said += [change for change in changes if change.rule == rule.id]
    words = [f"{one.became} {(one.at_ms - EIGHT_MS) // 60_000}" for one in said]
    assert words == case.changes
    offline = {PLACE.gateway} if case.offline else set()
    assert level_of(evaluator, rule, Muting(now_ms, offline)) == case.level


def level_of(evaluator: Evaluator, rule: Rule, muting: Muting) -> str:
    for one in evaluator.incidents.open:
        if one.rule == rule.id:
            return "muted" if muting.quiet(rule.id, one.place) else "told"
    standing = evaluator.standings.get((rule.id, PLACE.device, _site(rule)))
    return (muting.level(rule.id, standing) if standing else Level.CLEAR).name.lower()


def _site(rule: Rule) -> str:
    return PLACE.site if rule.subject is Subject.ZONE else ""


@pytest.mark.parametrize("rule", [r for r in RULES.values() if not r.no_data_fires], ids=label)
def test_every_rule_has_a_fixture_of_each_sort(rule: Rule) -> None:
    shown = {case.shows for case in FIXTURES[rule.id].case}
    assert shown >= set(SHOWS)


@pytest.mark.parametrize("rule", RULES.values(), ids=label)
def test_every_rule_judges_fields_that_its_source_has(rule: Rule) -> None:
    kind = {**ROLLED_UP_KINDS, **STORED_KINDS}[rule.source]
    assert set(rule.fields) <= set(kind.fields)
    assert set(rule.device_kinds) <= set(KINDS)
    assert (rule.fires >= rule.clears) if rule.above else (rule.fires <= rule.clears)


@pytest.mark.parametrize("rule", RULES.values(), ids=label)
def test_every_rule_speaks_both_languages_and_no_value_of_the_moment(rule: Rule) -> None:
    for text in (rule.title, rule.summary, rule.advice):
        assert text.id.strip()
        assert text.en.strip()
        assert text.id != text.en
        assert "{" not in text.id + text.en


def test_silence_is_judged_for_every_kind_by_exactly_one_rule() -> None:
    silent = [rule for rule in RULES.values() if rule.source == "device_health"]
    kinds = [kind for rule in silent for kind in rule.device_kinds]
    assert sorted(kinds) == sorted(KINDS)


def test_a_bin_is_full_on_the_page_where_the_rule_fires_and_clears_where_it_is_fine() -> None:
    assert RULES["bin_full"].fires == FULL_ABOVE
    assert RULES["bin_full"].clears == FILLING_FROM
