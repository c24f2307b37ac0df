"""`gampong ingest setup` for InfluxDB 2: what the line needs, again and again without harm.

In this order: the database is ready; somebody administers it (a fresh one is taken over when
asked); the organisation; a bucket and an InfluxQL mapping for each of `Bucket`; a token that
writes and reads these buckets, one that only reads them, each tried out on the very requests that
the line will make. What is there already stays: a bucket's retention is made longer, never
shorter (that would delete), a token that works is kept, nothing is ever revoked.
"""

# mypy: untyped-calls-exclude=influxdb_client

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.domain.authorization import Authorization
from influxdb_client.domain.bucket_retention_rules import BucketRetentionRules
from influxdb_client.domain.dbrp_create import DBRPCreate
from influxdb_client.domain.onboarding_request import OnboardingRequest
from influxdb_client.domain.permission import Permission
from influxdb_client.domain.permission_resource import PermissionResource
from influxdb_client.rest import ApiException
from influxdb_client.service.dbr_ps_service import DBRPsService
from influxdb_client.service.setup_service import SetupService
from urllib3.exceptions import HTTPError

from ingest.stores import Bucket, StoreError
from ingest.stores.configuration import InfluxSettings
from ingest.stores.influx2_answers import message
from ingest.stores.influx2_scopes import Scope, try_token
from ingest.stores.influx2_tokens import read_token, write_token
from ingest.stores.onboarding import SetupRequest, Step
from wire.clock import Clock
from wire.small_file import OpenToOthers, read_secret

DAY_S = 86_400
RETENTION_POLICY = "autogen"
TOKEN_BYTES = 48
PASSWORD_LENGTH_MIN = 8

_REMEDIES = {
    401: "The token in {file} isn't one of this InfluxDB: put an administrator's there",
    403: "The token in {file} may not do this: put an administrator's there",
    404: "Look at the address: is this an InfluxDB 2?",
}


async def setup_influx(settings: InfluxSettings, request: SetupRequest, clock: Clock) -> list[Step]:
    """Make buckets, mappings and tokens, and try them out.

    Raises:
        StoreError: says what is missing and what to do.
    """
    files = (request.admin_token_file, request.write_token_file, request.read_token_file)
    if len({file.resolve() for file in files}) < len(files):
        raise StoreError("two tokens in one file: give the three token files different names")
    steps = await asyncio.to_thread(_make_buckets, settings, request)
    scopes = (
        Scope("write", request.write_token_file, settings, clock),
        Scope("read", request.read_token_file, settings, clock),
    )
    for scope in scopes:
        problem = await try_token(scope)
        if problem:
            token = await asyncio.to_thread(_make_token, settings, request, scope)
            write_token(scope.file, token)
            if refused := await try_token(scope):
                raise StoreError(f"the new {scope.name} token in {scope.file} fails: {refused}")
        detail = f"{scope.file} ({problem})" if problem else str(scope.file)
        steps.append(Step(f"{scope.name} token", "made" if problem else "ready", detail))
    return steps


def _make_buckets(settings: InfluxSettings, request: SetupRequest) -> list[Step]:
    with _client(settings, request, token="") as client:
        steps = _take_over(client, settings, request)
    with _client(settings, request, _admin_token(request)) as client:
        org_id = _organisation(client, settings.org)
        for bucket in Bucket:
            step, bucket_id = _make_bucket(client, settings, bucket, org_id)
            steps += [step, _map(client, settings.buckets.name(bucket), bucket_id, org_id)]
    return steps


def _take_over(
    client: InfluxDBClient, settings: InfluxSettings, request: SetupRequest
) -> list[Step]:
    """Wait for nothing: a database that isn't ready is refused, since what it answers before it
    has read its files may be wrong. A fresh one gets its first user, when asked."""
    ready = client.ready().status
    if ready != "ready":
        raise StoreError(f"InfluxDB at {settings.url} is {ready!r}, not ready; try again later")
    service = SetupService(client.api_client)
    if not service.get_setup().allowed:
        return [Step("database", "ready", settings.url)]
    if not request.onboard:
        raise StoreError(
            f"InfluxDB at {settings.url} is fresh, nobody has set it up; run this with a name for"
            " its first user (--onboard NAME), or set it up by hand and give a token"
        )
    # The token is on disk before the database knows it: a crash between can't lock anybody out.
    if not request.admin_token_file.exists():
        write_token(request.admin_token_file, secrets.token_urlsafe(TOKEN_BYTES))
    service.post_setup(
        OnboardingRequest(
            username=request.onboard,
            password=_password(request),
            org=settings.org,
            bucket=settings.buckets.name(Bucket.CITY),
            retention_period_seconds=settings.retention.days(Bucket.CITY) * DAY_S,
            token=_admin_token(request),
        )
    )
    return [Step("database", "made", f"first user {request.onboard}, {request.admin_token_file}")]


def _admin_token(request: SetupRequest) -> str:
    return read_token(request.admin_token_file, "--admin-token-file")


def _password(request: SetupRequest) -> str:
    file = request.onboard_password_file
    if file is None:
        return secrets.token_urlsafe(TOKEN_BYTES)
    try:
        password = read_secret(str(file), "--onboard-password-file").decode().rstrip("\r\n")
    except OpenToOthers as error:
        raise StoreError(str(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"can't read the first user's password in {file}: {error}") from error
    if len(password) < PASSWORD_LENGTH_MIN:
        raise StoreError(f"the password in {file} is under {PASSWORD_LENGTH_MIN} characters")
    return password


def _organisation(client: InfluxDBClient, name: str) -> str:
    found = [org for org in client.organizations_api().find_organizations() if org.name == name]
    if not found:
        raise StoreError(
            f"InfluxDB has no organisation {name!r} that this token sees; name an existing one"
            " as `org`, or make it"
        )
    return str(found[0].id)


def _buckets(client: InfluxDBClient, org_id: str) -> dict[str, Any]:
    """Every bucket by name. Asked for one by name, InfluxDB answers 404 when there is none."""
    buckets = client.buckets_api().find_buckets_iter(org_id=org_id)
    return {bucket.name: bucket for bucket in buckets}


def _make_bucket(
    client: InfluxDBClient, settings: InfluxSettings, bucket: Bucket, org_id: str
) -> tuple[Step, str]:
    name, days = settings.buckets.name(bucket), settings.retention.days(bucket)
    buckets = client.buckets_api()
    rules = BucketRetentionRules(type="expire", every_seconds=days * DAY_S)
    present = _buckets(client, org_id).get(name)
    if present is None:
        made = buckets.create_bucket(bucket_name=name, retention_rules=rules, org=org_id)
        return Step(f"bucket {name}", "made", f"keeps {days} days"), str(made.id)
    kept_s = min((rule.every_seconds for rule in present.retention_rules), default=0)
    if 0 < kept_s < days * DAY_S:
        present.retention_rules = [rules]
        buckets.update_bucket(present)
        return Step(f"bucket {name}", "changed", f"keeps {days} days"), str(present.id)
    detail = f"keeps {kept_s // DAY_S} days" if kept_s else "keeps all"
    if kept_s != days * DAY_S:
        detail += f", more than the {days} configured; shorten it by hand, that deletes"
    return Step(f"bucket {name}", "ready", detail), str(present.id)


def _map(client: InfluxDBClient, name: str, bucket_id: str, org_id: str) -> Step:
    """InfluxQL's database is called as the bucket. InfluxDB 2 shows such a mapping by itself (a
    virtual one), until somebody maps that name elsewhere: ours is written down."""
    service = DBRPsService(client.api_client)
    for mapping in service.get_dbr_ps(org_id=org_id, db=name).content or []:
        if mapping.virtual or not mapping.default:
            continue
        if mapping.bucket_id == bucket_id:
            return Step(f"mapping {name}", "ready")
        raise StoreError(
            f"InfluxQL's database {name!r} is mapped to another bucket ({mapping.bucket_id});"
            f" remove mapping {mapping.id}, or choose another bucket name"
        )
    service.post_dbrp(
        DBRPCreate(
            org_id=org_id,
            bucket_id=bucket_id,
            database=name,
            retention_policy=RETENTION_POLICY,
            default=True,
        )
    )
    return Step(f"mapping {name}", "made")


def _make_token(settings: InfluxSettings, request: SetupRequest, scope: Scope) -> str:
    with _client(settings, request, _admin_token(request)) as client:
        org_id = _organisation(client, settings.org)
        buckets = _buckets(client, org_id)
        ids = [buckets[settings.buckets.name(bucket)].id for bucket in Bucket]
        permissions = [
            Permission(
                action=action,
                resource=PermissionResource(type="buckets", id=bucket_id, org_id=org_id),
            )
            for bucket_id in ids
            for action in scope.actions
        ]
        authorization = Authorization(org_id=org_id, permissions=permissions)
        authorization.description = f"gampong {scope.name}"
        made = client.authorizations_api().create_authorization(authorization=authorization)
        return str(made.token)


@contextmanager
def _client(
    settings: InfluxSettings, request: SetupRequest, token: str
) -> Iterator[InfluxDBClient]:
    """A client whose failures are StoreErrors with a remedy."""
    options: dict[str, Any] = {"timeout": int(settings.timeout_s * 1000)}
    if settings.ca_file:
        options["ssl_ca_cert"] = settings.ca_file
    try:
        with InfluxDBClient(settings.url, token, org=settings.org, **options) as client:
            yield client
    except ApiException as error:
        said = message(error.body if isinstance(error.body, bytes) else str(error.body).encode())
        remedy = _REMEDIES.get(error.status or 0, "Look at its log")
        remedy = remedy.format(file=request.admin_token_file)
        text = f"InfluxDB at {settings.url} answered {error.status}: {said}. {remedy}"
        raise StoreError(text) from error
    except (HTTPError, OSError, ValueError, msgspec.MsgspecError) as error:
        text = f"InfluxDB at {settings.url} is away ({type(error).__name__}: {error}); start it"
        raise StoreError(text[:400]) from error
