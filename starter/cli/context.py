"""What commands work with: policy, our books (read-only), Temporal."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import make_url
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from pointsman import temporal as temporal_setup
from pointsman.config import Settings, variable
from pointsman.contracts.policy import Policy
from pointsman.policies import loading
from pointsman.ports import Attempts as AttemptsPort
from pointsman.ports import Audit as AuditPort
from pointsman.ports import Escalations as EscalationsPort
from pointsman.ports import Inbox as InboxPort
from pointsman.ports import Items as ItemsPort
from pointsman.ports import Ledger as LedgerPort
from pointsman.store import sqlite
from pointsman.store.attempts import Attempts
from pointsman.store.audit import Audit
from pointsman.store.engine import Store
from pointsman.store.escalations import Escalations
from pointsman.store.inbox import Inbox
from pointsman.store.items import Items
from pointsman.store.ledger import Ledger
from pointsman.store.process_violations import ProcessViolations
from starter.cli.errors import CliError


@dataclass(frozen=True)
class Books:
    """What is kept, to be read. Everything that changes something goes through Temporal or the service."""

    items: ItemsPort
    inbox: InboxPort
    escalations: EscalationsPort
    ledger: LedgerPort
    attempts: AttemptsPort
    audit: AuditPort
    violations: ProcessViolations


def policy(settings: Settings) -> Policy:
    """The policy in force."""
    return loading.load(settings.policy_dir).policy


async def temporal(settings: Settings) -> Client:
    """
    Raises:
        TemporalUnreachable: nobody answers at the address, or the namespace is not there: without this look each of its
            workflows would be told to be closed.
    """
    client = await temporal_setup.connect(settings.temporal_address, settings.temporal_namespace)
    try:
        await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise temporal_setup.TemporalUnreachable(
                f"Temporal at {settings.temporal_address} has no namespace {client.namespace!r}. Nothing was changed. "
                f"Correct {variable('temporal_namespace')}, or make the namespace."
            ) from error
    return client


def stored_in_sqlite(settings: Settings) -> bool:
    return make_url(settings.database_url.get_secret_value()).get_backend_name() == "sqlite"


@asynccontextmanager
async def opened(settings: Settings) -> AsyncGenerator[Books]:
    """The books, read-only, whether a service runs or not.

    Raises:
        CliError: there is no database yet.
    """
    async with reading(settings) as store:
        yield Books(
            items=Items(store),
            inbox=Inbox(store),
            escalations=Escalations(store),
            ledger=Ledger(store),
            attempts=Attempts(store),
            audit=Audit(store),
            violations=ProcessViolations(store),
        )


@asynccontextmanager
async def reading(settings: Settings) -> AsyncGenerator[Store]:
    """The store itself, read-only.

    Raises:
        CliError: there is no database yet.
    """
    async with await _open(settings, read_only=True) as store:
        yield store


@asynccontextmanager
async def writing(settings: Settings) -> AsyncGenerator[InboxPort]:
    """The inbox, to be changed: on PostgreSQL, or on a SQLite file that no service holds.

    Raises:
        StoreInUse: a service holds the file.
    """
    async with changing(settings) as store:
        yield Inbox(store)


@asynccontextmanager
async def changing(settings: Settings) -> AsyncGenerator[Store]:
    """The store itself, to be changed; else as `writing`."""
    async with await _open(settings, read_only=False) as store:
        yield store


async def _open(settings: Settings, *, read_only: bool) -> Store:
    url = settings.database_url.get_secret_value()
    if stored_in_sqlite(settings) and not (path := sqlite.path_of(url)).exists():
        raise CliError(
            "no_database",
            f"Nothing has been kept yet: there is no database at {path}.",
            "Start Pointsman, which makes it: pointsman up",
        )
    return await asyncio.to_thread(Store.open, url, read_only=read_only)
