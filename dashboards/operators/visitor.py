"""Who looks, and what they may do."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Role(StrEnum):
    """Each may do what the one before it may, and more."""

    VIEWER = "viewer"  # sees
    OPERATOR = "operator"  # acknowledges and silences
    ADMIN = "admin"  # sees who did what

    def may(self, needed: Role) -> bool:
        """Whether this role is enough where that one is needed."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


class Visitor(msgspec.Struct, frozen=True):
    """One person, by the name they logged in with."""

    name: str
    role: Role

    def may(self, needed: Role) -> bool:
        """Whether they may do what needs that role."""
        return self.role.may(needed)


class NotAllowedError(Exception):
    """The visitor's role isn't enough; the text names both."""
