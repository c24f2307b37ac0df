"""What is built, looked at without a Grafana: the committed files, their checks, the files' fields.

The pages that say which fields the provisioning files have:
[1] https://grafana.com/docs/grafana/latest/administration/provisioning/
[2] https://grafana.com/docs/grafana/latest/alerting/set-up/provision-alerting-resources/file-provisioning/
[3] https://grafana.com/docs/grafana/latest/datasources/influxdb/configure/
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
import yaml

from dashboards.grafana.alerts import rule_uid
from dashboards.grafana.ask import SOURCES
from dashboards.grafana.boards import BOARDS, TAG
from dashboards.grafana.build import build, files, retired_rules
from dashboards.grafana.checks import problems, targets
from dashboards.grafana.picture import picture
from dashboards.grafana.written import differing, write
from dashboards.states import STATES
from gampong.cli import main
from ingest.rules import RULES
from ingest.stores.zone_kinds import ZONE_STATES
from tests.dashboards.grafana.built import FOLDER, configuration, whole
from wire.configuration import ConfigurationError


@cache
def provisioned(name: str) -> dict[str, Any]:
    content = yaml.safe_load(files(whole())[f"provisioning/{name}.yaml"])
    assert isinstance(content, dict)
    return content


def test_the_committed_folder_is_what_build_writes() -> None:
    assert differing(whole(), FOLDER) == [], "run gampong dashboards build"


def test_built_twice_nothing_is_written(tmp_path: Path) -> None:
    assert len(list(write(whole(), tmp_path))) == len(files(whole()))
    assert list(write(whole(), tmp_path)) == []


def test_a_dashboard_that_is_no_longer_defined_goes_from_the_folder(tmp_path: Path) -> None:
    list(write(whole(), tmp_path))
    (tmp_path / "dashboards/old.json").write_text("{}")
    (tmp_path / "dashboards/notes.txt").write_text("theirs")
    assert list(write(whole(), tmp_path)) == [f"removed {tmp_path}/dashboards/old.json"]
    assert (tmp_path / "dashboards/notes.txt").exists()


def test_a_rule_that_is_no_longer_defined_is_named_for_removal_from_then_on(tmp_path: Path) -> None:
    """A file doesn't remove a rule by leaving it out (grafana 131777)."""
    list(write(whole(), tmp_path))
    rules = tmp_path / "provisioning/alerting/rules.yaml"
    rules.write_text(rules.read_text().replace("uid: gampong-bin-full", "uid: gampong-bin-old"))
    for _ in range(2):
        list(write(whole(), tmp_path))
        content = yaml.safe_load(rules.read_text())
        assert content["deleteRules"] == [{"orgId": 1, "uid": "gampong-bin-old"}]
        assert "gampong-bin-full" in retired_rules(rules.read_text())


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_nothing_is_wrong_with_a_dashboard(board: Any) -> None:
    assert list(problems(whole().dashboards[board.uid])) == []


@pytest.mark.parametrize("language", ["en", "id"])
def test_both_languages_are_built_and_differ_only_in_words(language: str) -> None:
    spoken = msgspec.structs.replace(configuration(), language=language)
    made = build(spoken, "toml")
    assert [list(problems(each)) for each in made.dashboards.values()] == [[]] * len(BOARDS)
    for uid, dashboard in made.dashboards.items():
        asked = [target["query"] for _, target in targets(dashboard)]
        assert asked == [target["query"] for _, target in targets(whole().dashboards[uid])]
    titles = [each["title"] for each in made.dashboards.values()]
    assert ("Kota" in titles) == (language == "id")


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_the_committed_picture_is_drawn_from_the_dashboard(board: Any) -> None:
    path = FOLDER.parents[1] / "docs" / f"grafana-{board.uid.removeprefix('gampong-')}.svg"
    drawn = picture(whole().dashboards[board.uid])
    assert path.read_text(encoding="utf-8") == drawn, "gampong dashboards build --pictures docs"
    root = ElementTree.fromstring(drawn)
    words = {"".join(each.itertext()) for each in root.iter() if each.tag.endswith("text")}
    panels: Any = whole().dashboards[board.uid]["panels"]
    assert {panel["title"] for panel in panels if panel["type"] != "row"} <= words
    places = [each for each in root.iter() if each.tag.endswith("rect") and each.get("rx") == "3"]
    assert len(places) >= sum(panel["type"] != "row" for panel in panels)


def _break(path: str, value: Any) -> dict[str, Any]:
    broken: Any = json.loads(json.dumps(whole().dashboards["gampong-city"]))
    place = broken
    *steps, last = path.split(".")
    for step in steps:
        place = place[int(step)] if isinstance(place, list) else place[step]
    place[last] = value
    return dict(broken)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("panels.2.id", 2, "2 panels have the id 2"),
        ("panels.2.gridPos", {"x": 0, "y": 1, "w": 4, "h": 5}, "'Bins to be emptied' lies on"),
        ("panels.1.gridPos", {"x": 22, "y": 1, "w": 4, "h": 5}, "stands over the right edge"),
        ("panels.1.colour", "red", ".panels[1].colour isn't of Grafana's types"),
        ("panels.1.targets.0.query", 'SELECT last("fre"::field) FROM "parking_spot_zone"', "'fre'"),
        ("panels.1.targets.0.query", 'SELECT last("up"::field) FROM "parking"', "no 'parking'"),
        ("panels.1.targets.0.query", 'SELECT "x" FROM "parking_spot_zone"', "named 'x'"),
        ("panels.1.targets.0.query", 'SELECT "street"::tag FROM "device_health"', "tag 'street'"),
        (
            "panels.1.targets.0.query",
            'SELECT 1 FROM "device_health" WHERE $town',
            "variable 'town'",
        ),
        ("panels.1.targets.0.datasource", {"uid": "prometheus"}, "no data source 'prometheus'"),
    ],
)
def test_each_thing_that_can_be_wrong_is_seen(path: str, value: Any, told: str) -> None:
    assert told in "\n".join(problems(_break(path, value)))


def test_dashboards_carry_our_mark_link_to_each_other_and_to_the_runbook() -> None:
    for dashboard in whole().dashboards.values():
        made: Any = dashboard
        assert made["tags"] == [TAG]
        links = {link["type"]: link for link in made["links"]}
        assert links["dashboards"]["tags"] == [TAG]
        assert links["dashboards"]["includeVars"] and links["dashboards"]["keepTime"]
        assert links["link"]["url"] == configuration().runbook_url
        assert [each["name"] for each in made["templating"]["list"]] == ["site", "zone"]
        assert made["editable"] is False


def test_no_secret_stands_in_what_is_built() -> None:
    """Only references to files."""
    for name, text in files(whole()).items():
        for key in ("bottoken", "password", "httpHeaderValue1"):
            for value in re.findall(rf"{key}: (.+)", text):
                assert re.fullmatch(r"(Token )?\$__file\{/[^}]+\}", value), (name, value)


def test_zones_count_the_states_that_the_page_shows() -> None:
    for kind, states in ZONE_STATES.items():
        assert set(states) == {str(state) for state in STATES[kind]}


# The provisioning files, field by field.


def test_data_sources_have_the_documented_fields() -> None:
    content = provisioned("datasources/gampong")  # [1], [3]
    assert content["apiVersion"] == 1
    assert {each["uid"] for each in content["datasources"]} == set(SOURCES.values())
    for source in content["datasources"]:
        assert source.keys() == {
            *("name", "uid", "type", "access", "orgId", "url", "editable"),
            *("jsonData", "secureJsonData"),
        }
        assert source["type"] == "influxdb" and source["access"] == "proxy"
        # [3]: InfluxQL on InfluxDB 2 takes the database's name and the token as a header.
        assert source["jsonData"]["version"] == "InfluxQL"
        assert source["jsonData"]["dbName"] in ("city", "city_hourly", "city_health")
        assert source["jsonData"]["httpHeaderName1"] == "Authorization"
        assert source["secureJsonData"]["httpHeaderValue1"].startswith("Token $__file{")


def test_the_dashboards_provider_has_the_documented_fields() -> None:
    (provider,) = provisioned("dashboards/gampong")["providers"]  # [1]
    assert provider.keys() == {
        *("name", "orgId", "folder", "folderUid", "type", "disableDeletion"),
        *("updateIntervalSeconds", "allowUiUpdates", "options"),
    }
    assert provider["type"] == "file"
    assert provider["options"].keys() == {"path", "foldersFromFilesStructure"}


def test_rules_have_the_documented_fields_in_the_files_own_spelling() -> None:
    content = provisioned("alerting/rules")  # [2]
    assert content.keys() == {"apiVersion", "groups", "deleteRules"}
    for group in content["groups"]:
        assert group.keys() == {"orgId", "name", "folder", "interval", "rules"}
        for rule in group["rules"]:
            # `keepFiringFor`, but `missing_series_evals_to_resolve`: another spelling is lost.
            assert rule.keys() - {"missing_series_evals_to_resolve"} == {
                *("uid", "title", "condition", "data", "noDataState", "execErrState", "for"),
                *("keepFiringFor", "labels", "annotations", "isPaused"),
            }
            assert len(rule["uid"]) <= 40 and re.fullmatch(r"[a-z0-9-]+", rule["uid"])
            assert rule["condition"] in {each["refId"] for each in rule["data"]}
            for each in rule["data"]:
                assert each.keys() == {"refId", "relativeTimeRange", "datasourceUid", "model"}


def test_every_rule_of_ours_is_one_of_grafanas_and_nothing_ends_or_fires_by_absence() -> None:
    made: Any = {rule["uid"]: rule for rules in whole().groups.values() for rule in rules}
    assert made.keys() == {rule_uid(rule) for rule in RULES.values()}
    for rule in RULES.values():
        built = made[rule_uid(rule)]
        assert built["execErrState"] == "KeepLast"
        assert built["labels"]["kind"] == rule.kind
        assert built["labels"]["severity"] == rule.severity
        assert built["annotations"]["runbook_url"].endswith(f"#{rule.id}")
        assert built["annotations"]["summary_id"] != built["annotations"]["summary_en"]
        if rule.no_data_fires:
            assert built["noDataState"] == "Alerting"
        else:
            assert built["noDataState"] == "KeepLast"
            assert built["missing_series_evals_to_resolve"] >= 7 * 24 * 60
            assert f'"{rule.id}"::field' in built["data"][0]["model"]["query"]


def test_labels_only_route() -> None:
    """Where, what, how bad: a label that changes would end an alert and begin another."""
    for rules in whole().groups.values():
        for rule in rules:
            labels: Any = rule["labels"]
            assert labels.keys() <= {"gampong", "kind", "severity", "site"}
            assert "{{" not in json.dumps(labels)


def test_no_text_of_the_files_is_taken_for_the_environment() -> None:
    """Grafana replaces `$WORD` and `${WORD}` in these files, but in queries and templates [2]."""
    for name in ("rules", "contact_points", "policies", "mute_timings"):
        content = provisioned(f"alerting/{name}")
        for text in _texts(content, leave=("model",)):
            assert "$" not in re.sub(r"^\$__file\{/[^}$]+\}$", "", text), (name, text)


def _texts(value: Any, leave: tuple[str, ...]) -> list[str]:
    if isinstance(value, dict):
        return [t for k, v in value.items() if k not in leave for t in _texts(v, leave)]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each, leave)]
    return [value] if isinstance(value, str) else []


def test_contact_points_policies_and_timings_have_the_documented_fields() -> None:
    (contact,) = provisioned("alerting/contact_points")["contactPoints"]  # [2]
    assert contact.keys() == {"orgId", "name", "receivers"}
    kinds = {each["type"]: each for each in contact["receivers"]}
    assert kinds.keys() == {"telegram", "email", "webhook"}
    for receiver in kinds.values():
        assert receiver.keys() == {"uid", "type", "settings", "disableResolveMessage"}
    assert kinds["telegram"]["settings"].keys() == {"bottoken", "chatid", "message", "parse_mode"}
    assert isinstance(kinds["telegram"]["settings"]["chatid"], str)  # grafana 69950
    assert kinds["email"]["settings"]["addresses"] == "pengawas@gampong.example"
    (policy,) = provisioned("alerting/policies")["policies"]
    (branch,) = policy["routes"]
    assert branch["object_matchers"] == [["gampong", "=", "1"]]
    assert branch["group_by"] == ["site", "kind"]
    timings = {each["name"]: each for each in provisioned("alerting/mute_timings")["muteTimes"]}
    named = {t for each in branch["routes"] for t in each.get("mute_time_intervals", ())}
    assert named == timings.keys()
    (quiet,) = timings["gampong-quiet"]["time_intervals"]
    assert quiet == {
        "times": [
            {"start_time": "22:00", "end_time": "24:00"},
            {"start_time": "00:00", "end_time": "05:30"},
        ],
        "location": "Asia/Jakarta",
    }
    (template,) = provisioned("alerting/templates")["templates"]
    assert template.keys() == {"orgId", "name", "template"}


def test_at_night_only_what_is_critical_is_told_and_info_never_is() -> None:
    routes: Any = whole().route["routes"]
    muted = {
        matcher[2]: route.get("mute_time_intervals", [])
        for route in routes
        for matcher in route["object_matchers"]
    }
    assert muted == {
        "critical": [],
        "info": ["gampong-list-only"],
        "warning": ["gampong-quiet"],
    }


# What an operator can write wrongly.


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('language = "en"', 'language = "fr"', "language"),
        ("https://gampong.example/docs/runbook", "gampong.example", "runbook_url"),
        ("http://127.0.0.1:8086", "http://$HOST:8086", "influx.url"),
        ('begin = "22:00"', 'begin = "10 pm"', "quiet.begin"),
        ('"-1001234567890"', '"our group"', "telegram.chat_id"),
        ("/etc/gampong/telegram.token", "telegram.token", "telegram.token_file"),
        ("pengawas@gampong.example", "pengawas", "email.addresses"),
        ('language = "en"', 'languages = "en"', "languages"),
    ],
)
def test_a_wrong_configuration_names_the_key_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], before: str, after: str, told: str
) -> None:
    text = (FOLDER / "dashboards.toml").read_text(encoding="utf-8")
    assert before in text
    config = tmp_path / "dashboards.toml"
    config.write_text(text.replace(before, after))
    words = ["dashboards", "build", "--config", str(config), "--to", str(tmp_path / "out")]
    assert main(words) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_configuration_in_which_nobody_hears_of_alerts_is_refused(tmp_path: Path) -> None:
    from dashboards.grafana.configuration import Email, Telegram, Webhook

    nobody = {"telegram": Telegram(), "email": Email(), "webhook": Webhook()}
    with pytest.raises(ConfigurationError, match=r"nobody would hear.*telegram\.chat_id"):
        build(msgspec.structs.replace(configuration(), **nobody), "toml")


def test_every_key_of_dashboards_toml_is_in_the_operators_page() -> None:
    page = (FOLDER.parents[1] / "docs" / "operator.md").read_text(encoding="utf-8")
    tables: Any = yaml.safe_load(json.dumps(msgspec.to_builtins(configuration())))
    for key, value in tables.items():
        names = [f"{key}.{inner}" for inner in value] if isinstance(value, dict) else [key]
        assert all(f"`{name}`" in page for name in names), names


def test_a_missing_configuration_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dashboards", "build", "--config", "/nowhere.toml"]) == 2
    assert "/nowhere.toml" in capsys.readouterr().err


def test_check_compares_with_what_stands_in_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    list(write(whole(), tmp_path))
    words = ["dashboards", "check", "--config", str(FOLDER / "dashboards.toml")]
    assert main([*words, "--to", str(tmp_path)]) == 0
    (tmp_path / "dashboards/city.json").write_text("{}")
    assert main([*words, "--to", str(tmp_path)]) == 1
    assert "dashboards/city.json isn't what" in capsys.readouterr().out
