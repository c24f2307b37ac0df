"""`gampong dashboards push`, against a server that stands in for Grafana."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboards.grafana.plan import within
from gampong.cli import main
from tests.dashboards.grafana.built import CONFIGURATION, whole
from tests.dashboards.grafana.grafana_stand_in import TOKEN, State, grafana_stand_in
from tests.secret_file import write_secret
from tests.servers import free_port


class Operator:
    """Somebody with a terminal, a token and the secrets' files."""

    def __init__(self, folder: Path, state: State, url: str, capsys: Any) -> None:
        self.folder, self.state, self.url, self._capsys = folder, state, url, capsys
        text = CONFIGURATION.read_text(encoding="utf-8")
        for name in ("influxdb-read.token", "telegram.token", "webhook.password"):
            write_secret(folder / name, f"secret of {name}\n")
        self.config = folder / "dashboards.toml"
        self.config.write_text(text.replace("/etc/gampong/", f"{folder}/"))
        self.token = folder / "grafana.token"
        write_secret(self.token, f"{TOKEN}\n")

    def push(self, *words: str) -> tuple[int, str]:
        """Exit code, and what was said on both streams."""
        command = ["dashboards", "push", "--url", self.url, "--token-file", str(self.token)]
        code = main([*command, "--config", str(self.config), *words])
        said = self._capsys.readouterr()
        return code, said.out + said.err

    def change(self, before: str, after: str) -> None:
        text = self.config.read_text()
        assert before in text
        self.config.write_text(text.replace(before, after))


@pytest.fixture
def operator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Operator]:
    state = State()
    with grafana_stand_in(state) as url:
        yield Operator(tmp_path, state, url, capsys)


def test_a_fresh_grafana_gets_everything(operator: Operator) -> None:
    code, said = operator.push()
    state = operator.state
    assert code == 0, said
    assert state.folders.keys() == {"gampong"}
    assert state.sources.keys() == {"gampong-readings", "gampong-hours", "gampong-health"}
    assert state.dashboards.keys() == whole().dashboards.keys()
    rules = {rule["uid"] for rules in whole().groups.values() for rule in rules}
    assert state.rules.keys() == rules
    assert {"gampong-telegram", "gampong-email", "gampong-webhook"} == state.contacts.keys()
    assert state.templates["gampong"]["template"] == whole().template.strip()
    assert state.tree["receiver"] == "grafana-default-email"
    assert [branch["receiver"] for branch in state.tree["routes"]] == ["gampong"]


def test_pushed_again_nothing_is_written(operator: Operator) -> None:
    operator.push()
    operator.state.writes.clear()
    assert operator.push() == (0, "nothing to change\n")
    assert operator.state.writes == []


def test_rules_are_spelled_as_the_api_spells_them(operator: Operator) -> None:
    operator.push()
    rule = operator.state.rules["gampong-bin-full"]
    assert rule["missingSeriesEvalsToResolve"] == 7 * 24 * 60
    assert rule["keep_firing_for"] == "0s"
    assert "missing_series_evals_to_resolve" not in rule
    assert "keepFiringFor" not in rule
    assert (rule["noDataState"], rule["execErrState"]) == ("KeepLast", "KeepLast")
    assert operator.state.rules["gampong-watch-silent"]["noDataState"] == "Alerting"


def test_secrets_are_read_from_their_files_and_never_shown(operator: Operator) -> None:
    _, said = operator.push("--dry-run")
    assert "secret of" not in said
    _, said = operator.push()
    assert "secret of" not in said
    assert sorted(operator.state.secrets) == [
        *["Token secret of influxdb-read.token"] * 3,
        "secret of telegram.token",
        "secret of webhook.password",
    ]
    assert "$__file" not in json.dumps(operator.state.contacts)


def test_a_rotated_secret_is_sent_when_asked_for(operator: Operator) -> None:
    operator.push()
    operator.state.secrets.clear()
    (operator.folder / "telegram.token").write_text("a new one")
    assert operator.push()[1] == "nothing to change\n"
    assert operator.push("--secrets")[0] == 0
    assert "a new one" in operator.state.secrets


def test_a_missing_secret_is_told_before_anything_is_written(operator: Operator) -> None:
    (operator.folder / "telegram.token").unlink()
    code, said = operator.push()
    assert code == 1
    assert "telegram.token" in said and "nothing was written" in said
    assert operator.state.writes == []


def test_a_dry_run_writes_nothing_and_shows_the_difference(operator: Operator) -> None:
    code, said = operator.push("--dry-run")
    assert code == 0 and operator.state.writes == []
    assert "make dashboard gampong-city" in said and "would be written" in said
    operator.push()
    operator.state.writes.clear()
    operator.change('begin = "22:00"', 'begin = "21:00"')
    _, said = operator.push("--dry-run")
    assert "change mute timing gampong-quiet" in said
    assert '-     "start_time": "22:00"' in said and '+     "start_time": "21:00"' in said
    assert operator.state.writes == []


def test_what_changed_is_written_and_nothing_else(operator: Operator) -> None:
    operator.push()
    operator.state.writes.clear()
    operator.change("https://gampong.example/docs/runbook", "https://kota.example/buku")
    code, said = operator.push()
    assert code == 0, said
    touched = {path.rpartition("/")[2] for _, path in operator.state.writes}
    assert touched == {"db", *whole().groups}
    assert "kota.example" in operator.state.rules["gampong-bin-full"]["annotations"]["runbook_url"]


def test_somebodys_edit_of_ours_is_put_right(operator: Operator) -> None:
    operator.push()
    operator.state.dashboards["gampong-city"]["dashboard"]["panels"].pop()
    code, said = operator.push()
    assert (code, said) == (0, "change dashboard gampong-city\n1 written\n")
    panels: Any = whole().dashboards["gampong-city"]["panels"]
    assert len(operator.state.dashboards["gampong-city"]["dashboard"]["panels"]) == len(panels)


def test_what_is_no_longer_defined_goes(operator: Operator) -> None:
    operator.push()
    state = operator.state
    old = json.loads(json.dumps(state.dashboards["gampong-city"]))
    old["dashboard"] |= {"uid": "gampong-old", "title": "Old"}
    state.dashboards["gampong-old"] = old
    rule = state.rules["gampong-bin-full"]
    state.rules["gampong-gone"] = rule | {"uid": "gampong-gone", "ruleGroup": "gone"}
    state.rules["gampong-left"] = rule | {"uid": "gampong-left"}
    operator.change('chat_id = "-1001234567890"', 'chat_id = ""')
    code, said = operator.push()
    assert code == 0, said
    assert "remove dashboard gampong-old" in said and "gampong-old" not in state.dashboards
    assert "remove rule gampong-gone" in said and "gampong-gone" not in state.rules
    assert "change rules waste" in said and "gampong-left" not in state.rules
    assert "remove receiver gampong-telegram" in said
    assert operator.push()[1] == "nothing to change\n"


def test_what_isnt_ours_stays_as_it_is(operator: Operator) -> None:
    state = operator.state
    foreign: Any = {"uid": "theirs", "title": "Theirs", "tags": ["gampong", "ops"], "version": 3}
    state.folders["ops"] = {"uid": "ops", "title": "Ops"}
    state.dashboards["theirs"] = {"dashboard": foreign, "meta": {"folderUid": "ops"}}
    state.sources["prom"] = {"uid": "prom", "name": "Prometheus"}
    state.contacts["cp"] = {"uid": "cp", "name": "ops", "type": "email", "settings": {}}
    state.timings["weekends"] = {"name": "weekends", "time_intervals": [], "version": "1"}
    labels = {"labels": {"team": "ops"}, "folderUID": "ops", "ruleGroup": "waste"}
    state.rules["r1"] = {"uid": "r1", "title": "CPU", **labels}
    branch = {"receiver": "ops", "object_matchers": [["team", "=", "ops"]]}
    state.tree["routes"] = [branch]
    held = [state.dashboards["theirs"], state.sources["prom"], state.contacts["cp"]]
    held += [state.timings["weekends"], state.rules["r1"]]
    before = json.dumps(held)
    assert operator.push()[0] == 0
    assert operator.push()[1] == "nothing to change\n"
    assert json.dumps(held) == before
    assert state.dashboards["theirs"] is held[0] and state.rules["r1"] is held[4]
    assert state.tree["routes"][1] == branch
    assert state.tree["receiver"] == "grafana-default-email"


def _foreign_dashboard(state: State) -> None:
    state.dashboards["gampong-city"] = {
        "dashboard": {"uid": "gampong-city", "title": "Mine", "tags": []},
        "meta": {"folderUid": "general"},
    }


def _provisioned_dashboard(state: State) -> None:
    state.dashboards["gampong-city"] = {
        "dashboard": {"uid": "gampong-city", "title": "City", "tags": ["gampong"]},
        "meta": {"folderUid": "gampong", "provisioned": True},
    }


def _named_source(state: State) -> None:
    state.sources["other"] = {"uid": "other", "name": "Gampong health"}


def _foreign_rule_in_our_group(state: State) -> None:
    placed = {"folderUID": "gampong", "ruleGroup": "waste"}
    state.rules["r1"] = {"uid": "r1", "title": "Theirs", "labels": {}, **placed}


def _policies_from_a_file(state: State) -> None:
    state.tree["provenance"] = "file"


def _foreign_receiver(state: State) -> None:
    state.contacts["x"] = {"uid": "x", "name": "gampong", "type": "email", "settings": {}}


@pytest.mark.parametrize(
    ("meddle", "told"),
    [
        (_foreign_dashboard, "dashboard gampong-city is somebody else's"),
        (_provisioned_dashboard, "dashboard gampong-city is provisioned from a file"),
        (_named_source, "a data source is called 'Gampong health' already"),
        (_foreign_rule_in_our_group, "rule 'Theirs' stands in our group waste"),
        (_policies_from_a_file, "notification policies are provisioned from a file"),
        (_foreign_receiver, "contact point 'gampong' has a receiver that isn't ours"),
    ],
)
def test_what_is_in_the_way_is_told_and_nothing_is_written(
    operator: Operator, meddle: Any, told: str
) -> None:
    meddle(operator.state)
    code, said = operator.push()
    assert code == 1
    assert told in said and "nothing was written" in said
    assert operator.state.writes == []


@pytest.mark.parametrize("version", ["10.4.2", "9.5.0", "8.0.1"])
def test_an_older_grafana_is_told_and_left_alone(operator: Operator, version: str) -> None:
    operator.state.version = version
    code, said = operator.push()
    assert code == 1 and f"Grafana {version} is too old" in said and "11.0 or later" in said
    assert operator.state.writes == []


@pytest.mark.parametrize("version", ["11.0.0", "12.1.0-pre", "13.3.0"])
def test_grafana_from_11_on_is_taken(operator: Operator, version: str) -> None:
    operator.state.version = version
    assert operator.push()[0] == 0
    assert operator.push()[1] == "nothing to change\n"


def test_a_grafana_whose_database_is_away_is_left_alone(operator: Operator) -> None:
    operator.state.database = "failing"
    code, said = operator.push()
    assert code == 1 and "its database is away" in said
    assert operator.state.writes == []


def test_nobody_there_is_told_in_words(operator: Operator) -> None:
    operator.url = f"http://127.0.0.1:{free_port()}"
    code, said = operator.push()
    assert code == 1 and "no Grafana at" in said and "start it, or look at the address" in said


def test_an_address_that_is_none_is_told_in_words(operator: Operator) -> None:
    operator.url = "localhost:3000"
    code, said = operator.push()
    assert code == 1 and "isn't an address" in said


def test_a_strangers_token_is_told_and_nothing_is_written(operator: Operator) -> None:
    operator.token.write_text("wrong")
    code, said = operator.push()
    assert code == 1 and "401" in said and "token" in said
    assert operator.state.writes == []


@pytest.mark.parametrize("after", [0, 1, 5, 12, 18])
def test_a_grafana_that_goes_away_in_the_middle_is_finished_by_the_next_push(
    operator: Operator, after: int
) -> None:
    operator.state.fail_after = after
    code, said = operator.push()
    assert code == 1
    assert "503" in said and "Written until then" in said and "run it again" in said
    assert len(operator.state.writes) == after
    operator.state.fail_after = None
    assert operator.push()[0] == 0
    assert operator.push()[1] == "nothing to change\n"


def test_somebody_who_changes_it_meanwhile_isnt_overwritten(operator: Operator) -> None:
    """Grafana compares the version we read with its own: 409, in words."""
    operator.push()
    state, real = operator.state, operator.state.template

    def meanwhile(method: str, path: str, body: Any, provenance: str) -> Any:
        answer = real(method, path, body, provenance)
        if method == "GET":
            answer = dict(answer)
            state.templates["gampong"]["version"] = "somebody's"
        return answer

    state.template = meanwhile  # type: ignore[method-assign]
    state.templates["gampong"]["template"] = "changed"
    code, said = operator.push()
    assert code == 1 and "409" in said and "somebody else has changed" in said


def test_what_is_left_editable_carries_no_provenance(operator: Operator) -> None:
    operator.push("--editable")
    assert {rule["provenance"] for rule in operator.state.rules.values()} == {""}
    assert operator.state.tree["provenance"] == ""


def test_pushed_without_the_header_it_is_locked(operator: Operator) -> None:
    operator.push()
    assert {rule["provenance"] for rule in operator.state.rules.values()} == {"api"}


def test_what_grafana_adds_is_no_difference() -> None:
    assert within({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2, "id": 7}], "version": 3})
    assert within({"password": "$__file{/x}"}, {"password": "[REDACTED]"})
    assert not within({"a": [1]}, {"a": [1, 2]})
    assert not within({"a": 1}, {})
