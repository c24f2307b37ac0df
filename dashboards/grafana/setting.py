"""What every drawn thing needs to know of a build: language, addresses, the dashboards' titles."""

from __future__ import annotations

import msgspec

from dashboards.texts import Language


class Setting(msgspec.Struct, frozen=True):
    """One build.

    Args:
        language: of titles and texts.
        runbook_url: a rule's section is this with `#` and the rule's name.
        timezone: IANA name, for axes and quiet hours.
        titles: uid of a dashboard → its title.
    """

    language: Language
    runbook_url: str
    timezone: str
    titles: dict[str, str] = {}
