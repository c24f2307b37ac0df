"""Everything that Grafana gets, as data and as the files of its provisioning folder. Pure.

    dashboards/city.json …                         one file a dashboard
    provisioning/datasources/gampong.yaml          the three buckets
    provisioning/dashboards/gampong.yaml           where the dashboards lie
    provisioning/alerting/{rules,contact_points,policies,mute_timings,templates}.yaml

Fields of these files: https://grafana.com/docs/grafana/latest/administration/provisioning/ and
…/alerting/set-up/provision-alerting-resources/file-provisioning/
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import msgspec
import yaml

from dashboards.grafana.alerts import FOLDER, FOLDER_UID, INTERVAL_S, rule_groups
from dashboards.grafana.ask import SOURCES
from dashboards.grafana.boards import BOARDS, built, titles
from dashboards.grafana.configuration import GrafanaConfiguration, check_configuration
from dashboards.grafana.contacts import CONTACT, mute_timings, receivers, route, secret
from dashboards.grafana.messages import NAME, template
from dashboards.grafana.setting import Setting
from dashboards.texts import Language
from ingest.stores import Bucket

DASHBOARDS_PATH = "/etc/grafana/gampong/dashboards"
"""Where the dashboards' files lie on Grafana's machine; `provisioning/dashboards` names it."""

RULES_FILE = "provisioning/alerting/rules.yaml"
_HEAD = "# Made by `gampong dashboards build`; edits here are lost.\n"
Json = dict[str, object]


class Built(msgspec.Struct, frozen=True):
    """All of it, in the spelling of the provisioning files.

    Args:
        dashboards: uid → dashboard.
        sources: data sources.
        groups: name → rules.
        contacts: the receivers of our contact point.
        route: our branch of the policy tree.
        timings: mute timings.
        template: the messages' template.
    """

    dashboards: dict[str, Json]
    sources: list[Json]
    groups: dict[str, list[Json]]
    contacts: list[Json]
    route: Json
    timings: list[Json]
    template: str


def build(configuration: GrafanaConfiguration, source: str) -> Built:
    """Build everything.

    Raises:
        ConfigurationError: names the file, the key and the remedy.
    """
    check_configuration(configuration, source)
    language = Language(configuration.language)
    setting = Setting(language, configuration.runbook_url, configuration.timezone)
    setting = msgspec.structs.replace(setting, titles=titles(setting))
    return Built(
        dashboards={board.uid: built(board, setting) for board in BOARDS},
        sources=list(_sources(configuration)),
        groups=dict(rule_groups(setting)),
        contacts=receivers(configuration, source),
        route=route(configuration),
        timings=mute_timings(configuration),
        template=template(language),
    )


def files(whole: Built, retired: Iterable[str] = ()) -> dict[str, str]:
    """The folder: relative path → text.

    Args:
        retired: uids of rules that an earlier build defined: files don't remove a rule by leaving
            it out, they must name it.
    """
    uids = {str(rule["uid"]) for rules in whole.groups.values() for rule in rules}
    groups = [
        {
            "orgId": 1,
            "name": name,
            "folder": FOLDER,
            "interval": f"{INTERVAL_S}s",
            "rules": rules,
        }
        for name, rules in whole.groups.items()
    ]
    alerting: dict[str, Json] = {
        "rules": {
            "groups": groups,
            "deleteRules": [{"orgId": 1, "uid": uid} for uid in sorted({*retired} - uids)],
        },
        "contact_points": {
            "contactPoints": [{"orgId": 1, "name": CONTACT, "receivers": whole.contacts}]
        },
        # The file format has one tree an organisation: ours stands alone in it.
        "policies": {
            "policies": [
                {
                    "orgId": 1,
                    "receiver": CONTACT,
                    "group_by": ["grafana_folder", "alertname"],
                    "routes": [whole.route],
                }
            ]
        },
        "mute_timings": {"muteTimes": [{"orgId": 1, **timing} for timing in whole.timings]},
        "templates": {"templates": [{"orgId": 1, "name": NAME, "template": whole.template}]},
    }
    found = {
        f"provisioning/alerting/{name}.yaml": _yaml({"apiVersion": 1, **content})
        for name, content in alerting.items()
    }
    found["provisioning/datasources/gampong.yaml"] = _yaml(
        {"apiVersion": 1, "datasources": whole.sources}
    )
    found["provisioning/dashboards/gampong.yaml"] = _yaml(
        {"apiVersion": 1, "providers": [_provider()]}
    )
    for uid, dashboard in whole.dashboards.items():
        text = json.dumps(dashboard, indent=1, ensure_ascii=False, sort_keys=True)
        found[f"dashboards/{uid.removeprefix('gampong-')}.json"] = text + "\n"
    return found


def retired_rules(rules_file: str) -> set[str]:
    """The uids that an earlier `rules.yaml` defined or removed."""
    known = yaml.safe_load(rules_file) or {}
    groups, gone = known.get("groups") or [], known.get("deleteRules") or []
    return {rule["uid"] for group in groups for rule in group["rules"]} | {
        rule["uid"] for rule in gone
    }


def _sources(configuration: GrafanaConfiguration) -> Iterable[Json]:
    influx = configuration.influx
    for bucket, uid in SOURCES.items():
        yield {
            "name": f"Gampong {uid.removeprefix('gampong-')}",
            "uid": uid,
            "type": "influxdb",
            "access": "proxy",
            "orgId": 1,
            "url": influx.url,
            "editable": False,
            "jsonData": {
                "version": "InfluxQL",
                "dbName": influx.buckets.name(bucket),
                "httpMode": "POST",
                "timeInterval": "1h" if bucket is Bucket.HOURLY else "1m",
                "httpHeaderName1": "Authorization",
            },
            "secureJsonData": {"httpHeaderValue1": f"Token {secret(influx.token_file)}"},
        }


def _provider() -> Json:
    return {
        "name": "gampong",
        "orgId": 1,
        "folder": FOLDER,
        "folderUid": FOLDER_UID,
        "type": "file",
        "disableDeletion": False,
        "allowUiUpdates": False,
        "updateIntervalSeconds": 60,
        "options": {"path": DASHBOARDS_PATH, "foldersFromFilesStructure": False},
    }


class _Dumper(yaml.SafeDumper):
    """Lines of a long text each on its own, nothing folded, no references."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _yaml(content: Json) -> str:
    return _HEAD + yaml.dump(
        content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000
    )
