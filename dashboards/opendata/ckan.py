"""Tables in a CKAN datastore: found or made, asked how far they reach, written to.

In: where, a token, a dataset's name; columns and records. Out: calls of CKAN's action API through
`ckanapi`. A table is a resource of the dataset, found by its name; its primary key makes a record
that comes again replace the one that is there. Only long-standing parameters are used: CKAN refuses
what it doesn't know.

What is wrong is one of two: `CkanAway` passes by itself, `CkanRefuses` needs somebody. Neither text
holds the token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec
from ckanapi import RemoteCKAN
from ckanapi.errors import CKANAPIError, NotAuthorized, NotFound, ValidationError

from dashboards.opendata.configuration import CkanSettings
from wire.small_file import OpenToOthers, read_secret

Record = Mapping[str, object]
_DETAIL_MAX = 300
_T = TypeVar("_T")


class CkanAway(Exception):
    """It can't be reached, or doesn't answer as a CKAN now: try later."""


class CkanRefuses(Exception):
    """Token, dataset or table aren't as they should be; the text says what to do."""


class Column(msgspec.Struct, frozen=True):
    """A column as CKAN knows it: `type` is `timestamp`, `text`, `int` or `float`."""

    id: str
    type: str
    about: str = ""

    def told(self) -> dict[str, Any]:
        """As `datastore_create` takes it; `info` is the data dictionary that people see."""
        info = {"info": {"notes": self.about}} if self.about else {}
        return {"id": self.id, "type": self.type, **info}


class _Named(msgspec.Struct):
    id: str
    name: str | None = None


class _Dataset(msgspec.Struct):
    resources: list[_Named]


class _Table(msgspec.Struct):
    fields: list[_Named]
    records: list[dict[str, Any]] = []


class _Made(msgspec.Struct):
    resource_id: str


class Ckan:
    """One CKAN and one dataset of it. A context manager: it holds a connection."""

    def __init__(self, settings: CkanSettings) -> None:
        self._settings = settings
        try:
            token = read_secret(settings.token_file, "ckan.token_file").decode().strip()
        except OpenToOthers as error:
            raise CkanRefuses(str(error)) from error
        except (OSError, UnicodeDecodeError) as error:
            raise CkanRefuses(f"ckan.token_file {settings.token_file}: {error}") from error
        self._remote = RemoteCKAN(settings.url, apikey=token, user_agent="gampong")
        self._resources: dict[str, str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._remote.close()

    def resource(self, name: str) -> str | None:
        """The resource of that name in the dataset, None when there is none yet."""
        if self._resources is None:
            found = self._call("package_show", {"id": self._settings.dataset}, _Dataset)
            self._resources = {str(one.name): one.id for one in found.resources}
        return self._resources.get(name)

    def columns(self, resource: str) -> list[str] | None:
        """The columns of its table, None when the resource has no table yet."""
        try:
            found = self._call(
                "datastore_search",
                {"resource_id": resource, "limit": 0, "include_total": False},
                _Table,
                missing_is_none=True,
            )
        except _Missing:
            return None
        return [field.id for field in found.fields]

    def newest(self, resource: str, column: str) -> str | None:
        """The largest value of a timestamp column, None for an empty table."""
        asked = {
            "resource_id": resource,
            "fields": [column],
            "sort": f"{column} desc",
            "limit": 1,
            "include_total": False,
        }
        records = self._call("datastore_search", asked, _Table).records
        if not records:
            return None
        try:
            datetime.fromisoformat(text := str(records[0].get(column)))
        except ValueError as error:
            raise CkanAway(f"{self._settings.url}: {column} isn't a time") from error
        return text

    def make(self, name: str, about: str, columns: Sequence[Column], key: Sequence[str]) -> str:
        """The table of that name with these columns, made or widened; its resource."""
        told: dict[str, Any] = {
            "fields": [column.told() for column in columns],
            "primary_key": list(key),
        }
        resource = self.resource(name)
        if resource is None:
            described = {"name": name, "description": about, "format": "CSV"}
            told["resource"] = {"package_id": self._settings.dataset, **described}
        else:
            told |= {"resource_id": resource, "force": True}
        made = self._call("datastore_create", told, _Made).resource_id
        assert self._resources is not None, "the resource was asked for"
        self._resources[name] = made
        return made

    def upsert(self, resource: str, records: Sequence[Record]) -> None:
        """Write records; each replaces the one with its key. At most `rows_per_call` at once."""
        step = self._settings.rows_per_call
        for first in range(0, len(records), step):
            asked = {
                "resource_id": resource,
                "method": "upsert",
                "force": True,
                "records": [dict(record) for record in records[first : first + step]],
            }
            self._call("datastore_upsert", asked, dict[str, Any])

    def _call(
        self,
        action: str,
        asked: Mapping[str, Any],
        type_: type[_T],
        *,
        missing_is_none: bool = False,
    ) -> _T:
        settings = self._settings
        how = {"timeout": settings.timeout_s, "verify": settings.ca_file or True}
        try:
            found = self._remote.call_action(action, dict(asked), requests_kwargs=how)
            return msgspec.convert(found, type_)
        except NotAuthorized as error:
            remedy = f"{settings.token_file} must be of an editor of {settings.dataset}"
            raise CkanRefuses(f"{action}: not authorised: {remedy}") from error
        except NotFound as error:
            if missing_is_none:
                raise _Missing from error
            remedy = f"make the dataset {settings.dataset!r} in CKAN, or name the right one"
            raise CkanRefuses(f"{action}: not found: {remedy}") from error
        except ValidationError as error:
            why = str(error.error_dict)[:_DETAIL_MAX]
            raise CkanRefuses(f"{action}: {why}") from error
        except (CKANAPIError, OSError) as error:  # those of requests are OSErrors
            raise CkanAway(f"{settings.url}: {action}: {_said(error)}") from error
        except (
            LookupError,
            TypeError,
            ValueError,
            RecursionError,
        ) as error:  # ckanapi's, msgspec's
            raise CkanAway(f"{settings.url}: {action}: no answer of a CKAN") from error


class _Missing(Exception):
    """There is no such thing, which was to be seen."""


def _said(error: Exception) -> str:
    """What happened, without what was sent."""
    text = str(error) or type(error).__name__
    return text[:_DETAIL_MAX]
