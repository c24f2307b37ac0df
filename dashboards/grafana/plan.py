"""What a Grafana lacks of what is defined, and what in it mustn't be touched. Pure.

Ours is what carries our mark: dashboards with the tag `gampong` in the folder `gampong`; data
sources, rules and receivers by their uids; rules by their label too; the branch of the policy tree
that matches that label; mute timings and the template by name. Whatever else there is stays as it
is. Where something of somebody else's stands in the way, nothing is planned at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from dashboards.grafana.alerts import FOLDER, FOLDER_UID, INTERVAL_S, LABEL, api_rule
from dashboards.grafana.boards import TAG
from dashboards.grafana.build import Built, Json
from dashboards.grafana.contacts import CONTACT, NEVER, QUIET
from dashboards.grafana.messages import NAME

REDACTED = "[REDACTED]"
PREFIX = "gampong-"
_PROVISIONING = "/v1/provisioning"
_FROM_FILE = "file"


class Have(msgspec.Struct, frozen=True):
    """What a Grafana holds, as its API gave it."""

    folder: Json | None
    sources: Sequence[Json]
    dashboards: Mapping[str, Json]
    found: Sequence[Json]
    contacts: Sequence[Json]
    tree: Json
    timings: Sequence[Json]
    template: Json | None
    rules: Sequence[Json]
    groups: Mapping[str, Json]


class Action(msgspec.Struct, frozen=True):
    """One write: what it does, in words and as a request; what was there before."""

    verb: str
    what: str
    method: str
    path: str
    body: Json | None = None
    before: Json | None = None


class InTheWay(Exception):
    """Something of somebody else's has a name of ours; says what, and what to do."""


def plan(whole: Built, have: Have, *, secrets: bool = False) -> list[Action]:
    """The writes, in an order in which nothing refers to what isn't there yet.

    Args:
        secrets: send what holds secrets even where nothing else has changed: Grafana never shows
            them, so that a rotated one can't be seen.

    Raises:
        InTheWay: nothing was planned.
    """
    problems = list(_in_the_way(whole, have))
    if problems:
        raise InTheWay("; ".join(problems))
    return [
        *_folder(have),
        *_sources(whole, have, secrets),
        *_dashboards(whole, have),
        *_timings(whole, have),
        *_template(whole, have),
        *_contacts(whole, have, secrets),
        *_tree(whole, have),
        *_groups(whole, have),
        *_removed_rules(whole, have),
        *_removed_contacts(whole, have),
        *_removed_timings(whole, have),
        *_removed_dashboards(whole, have),
    ]


def within(ours: object, theirs: object) -> bool:
    """Whether Grafana holds what we define; it adds fields of its own, and hides secrets."""
    if isinstance(ours, dict):
        return isinstance(theirs, dict) and all(
            key in theirs and within(value, theirs[key]) for key, value in ours.items()
        )
    if isinstance(ours, list):
        return (
            isinstance(theirs, list)
            and len(ours) == len(theirs)
            and all(within(a, b) for a, b in zip(ours, theirs, strict=True))
        )
    return theirs == REDACTED or ours == theirs


def _in_the_way(whole: Built, have: Have) -> Iterator[str]:
    named = {str(source["name"]): str(source["uid"]) for source in whole.sources}
    for source in have.sources:
        if source.get("uid") != named.get(str(source["name"]), source.get("uid")):
            yield f"a data source is called {source['name']!r} already: rename it"
        if source.get("uid") in named.values() and source.get("readOnly"):
            yield f"data source {source['uid']} is provisioned from a file: remove that file"
    for uid, held in have.dashboards.items():
        meta: Any = held.get("meta") or {}
        tags: Any = _dashboard(held).get("tags") or []
        if meta.get("provisioned"):
            yield f"dashboard {uid} is provisioned from a file: remove that file"
        elif TAG not in tags or meta.get("folderUid") != FOLDER_UID:
            yield f"dashboard {uid} is somebody else's (no tag {TAG}, or another folder): rename it"
    ours = {str(rule["uid"]) for rules in whole.groups.values() for rule in rules}
    for rule in have.rules:
        marked = _is_ours(rule)
        if rule["uid"] in ours and not marked:
            yield f"rule {rule['uid']} is somebody else's: rename it"
        elif not marked and rule["folderUID"] == FOLDER_UID and rule["ruleGroup"] in whole.groups:
            yield f"rule {rule['title']!r} stands in our group {rule['ruleGroup']}: move it"
        elif marked and rule.get("provenance") == _FROM_FILE:
            yield f"rule {rule['uid']} is provisioned from a file: remove that file"
    if have.tree.get("provenance") == _FROM_FILE:
        yield "the notification policies are provisioned from a file: remove that file"
    for contact in have.contacts:
        if contact["name"] == CONTACT and not str(contact["uid"]).startswith(PREFIX):
            yield f"contact point {CONTACT!r} has a receiver that isn't ours ({contact['uid']})"
        elif str(contact["uid"]).startswith(PREFIX) and contact["name"] != CONTACT:
            yield f"receiver {contact['uid']} belongs to contact point {contact['name']!r}"


def _dashboard(held: Json) -> Json:
    found: Any = held.get("dashboard") or {}
    return dict(found)


def _is_ours(rule: Json) -> bool:
    labels: Any = rule.get("labels") or {}
    return labels.get(LABEL) == "1" and rule["folderUID"] == FOLDER_UID


def _folder(have: Have) -> Iterator[Action]:
    if have.folder is None:
        body: Json = {"uid": FOLDER_UID, "title": FOLDER}
        yield Action("make", f"folder {FOLDER}", "POST", "/folders", body)


def _sources(whole: Built, have: Have, secrets: bool) -> Iterator[Action]:
    held = {source.get("uid"): source for source in have.sources}
    for source in whole.sources:
        body = {key: value for key, value in source.items() if key not in ("orgId", "editable")}
        open_ = {key: value for key, value in body.items() if key != "secureJsonData"}
        uid, what = source["uid"], f"data source {source['name']}"
        before = held.get(uid)
        if before is None:
            yield Action("make", what, "POST", "/datasources", body)
        elif secrets or not within(open_, before):
            yield Action("change", what, "PUT", f"/datasources/uid/{uid}", body, before)


def _dashboards(whole: Built, have: Have) -> Iterator[Action]:
    for uid, dashboard in whole.dashboards.items():
        held = have.dashboards.get(uid)
        before = _dashboard(held) if held else None
        if before is not None and within(dashboard, before):
            continue
        body: Json = {
            "dashboard": {**dashboard, "id": None},
            "folderUid": FOLDER_UID,
            "message": "gampong dashboards push",
            "overwrite": before is not None,
        }
        verb = "make" if before is None else "change"
        yield Action(verb, f"dashboard {uid}", "POST", "/dashboards/db", body, before)


def _timings(whole: Built, have: Have) -> Iterator[Action]:
    held = {timing["name"]: timing for timing in have.timings}
    for timing in whole.timings:
        name, path = timing["name"], f"{_PROVISIONING}/mute-timings"
        before = held.get(name)
        if before is None:
            yield Action("make", f"mute timing {name}", "POST", path, timing)
        elif not within(timing, before):
            body = timing | _version(before)
            yield Action("change", f"mute timing {name}", "PUT", f"{path}/{name}", body, before)


def _version(before: Json | None) -> Json:
    """What Grafana asks for, so that nobody's change in between is overwritten."""
    return {"version": before["version"]} if before and before.get("version") else {}


def _template(whole: Built, have: Have) -> Iterator[Action]:
    before = have.template
    # Grafana keeps a template without the space around it.
    if before is None or str(before.get("template")).strip() != whole.template.strip():
        body: Json = {"template": whole.template} | _version(before)
        path = f"{_PROVISIONING}/templates/{NAME}"
        verb = "make" if before is None else "change"
        yield Action(verb, f"template {NAME}", "PUT", path, body, before)


def _contacts(whole: Built, have: Have, secrets: bool) -> Iterator[Action]:
    held = {contact["uid"]: contact for contact in have.contacts}
    path = f"{_PROVISIONING}/contact-points"
    for receiver in whole.contacts:
        body: Json = {"name": CONTACT, **receiver}
        uid, what = receiver["uid"], f"receiver {receiver['uid']}"
        before = held.get(uid)
        if before is None:
            yield Action("make", what, "POST", path, body)
        elif secrets or not within(body, before):
            yield Action("change", what, "PUT", f"{path}/{uid}", body, before)


def _tree(whole: Built, have: Have) -> Iterator[Action]:
    """The tree with our branch first; every other branch, and the root, as they are."""
    routes: Any = have.tree.get("routes") or []
    others = [branch for branch in routes if not _is_our_branch(branch)]
    mine = [branch for branch in routes if _is_our_branch(branch)]
    if len(mine) == 1 and within(whole.route, mine[0]):
        return
    kept = {key: value for key, value in have.tree.items() if key != "provenance"}
    body = kept | {"routes": [whole.route, *others]}
    yield Action(
        "change", "notification policies", "PUT", f"{_PROVISIONING}/policies", body, have.tree
    )


def _is_our_branch(branch: Json) -> bool:
    matchers: Any = branch.get("object_matchers") or []
    return [LABEL, "=", "1"] in matchers


def _groups(whole: Built, have: Have) -> Iterator[Action]:
    for name, rules in whole.groups.items():
        body: Json = {
            "title": name,
            "folderUid": FOLDER_UID,
            "interval": INTERVAL_S,
            "rules": [api_rule(rule, name) for rule in rules],
        }
        before = have.groups.get(name)
        if before is not None and within(_as_old_as(body, before), before):
            continue
        path = f"{_PROVISIONING}/folder/{FOLDER_UID}/rule-groups/{name}"
        verb = "make" if before is None else "change"
        yield Action(verb, f"rules {name}", "PUT", path, body, before)


_NEWER = ("missingSeriesEvalsToResolve", "keep_firing_for")
"""What an older Grafana drops without a word: no difference that another push could mend."""


def _as_old_as(body: Json, before: Json) -> Json:
    held: Any = before.get("rules") or []
    known = {key for rule in held for key in rule}
    rules: Any = body["rules"]
    kept = [{k: v for k, v in rule.items() if k in known or k not in _NEWER} for rule in rules]
    return {**body, "rules": kept}


def _removed_rules(whole: Built, have: Have) -> Iterator[Action]:
    """Rules of ours that are no longer defined, in groups that aren't put again: putting a group
    removes what it no longer holds."""
    for rule in have.rules:
        if _is_ours(rule) and rule["ruleGroup"] not in whole.groups:
            path = f"{_PROVISIONING}/alert-rules/{rule['uid']}"
            yield Action("remove", f"rule {rule['uid']}", "DELETE", path, before=rule)


def _removed_contacts(whole: Built, have: Have) -> Iterator[Action]:
    ours = {receiver["uid"] for receiver in whole.contacts}
    for contact in have.contacts:
        if contact["name"] == CONTACT and contact["uid"] not in ours:
            path = f"{_PROVISIONING}/contact-points/{contact['uid']}"
            yield Action("remove", f"receiver {contact['uid']}", "DELETE", path, before=contact)


def _removed_timings(whole: Built, have: Have) -> Iterator[Action]:
    ours = {timing["name"] for timing in whole.timings}
    for timing in have.timings:
        name = str(timing["name"])
        if name in (QUIET, NEVER) and name not in ours:
            path = f"{_PROVISIONING}/mute-timings/{name}"
            yield Action("remove", f"mute timing {name}", "DELETE", path, before=timing)


def _removed_dashboards(whole: Built, have: Have) -> Iterator[Action]:
    for found in have.found:
        if found["uid"] not in whole.dashboards and found.get("folderUid") == FOLDER_UID:
            path = f"/dashboards/uid/{found['uid']}"
            yield Action("remove", f"dashboard {found['uid']}", "DELETE", path, before=found)
