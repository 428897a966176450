"""Between a row's columns and the chain that it belongs to."""

from typing import Protocol, TypedDict

from pointsman.contracts.records import Chain
from pointsman.contracts.work_items import WorkItemKey


class ChainColumns(TypedDict):
    tenant: str
    correlation_id: str
    organisation: str
    project: str
    item_id: int


class ChainRow(Protocol):
    tenant: str
    correlation_id: str
    organisation: str
    project: str
    item_id: int


def columns_of(chain: Chain) -> ChainColumns:
    """What a row says of its chain. Item 0 stands for none."""
    key = chain.key
    return {
        "tenant": chain.tenant,
        "correlation_id": chain.correlation_id,
        "organisation": key.organisation if key else "",
        "project": key.project if key else "",
        "item_id": key.id if key else 0,
    }


def chain_of(row: ChainRow) -> Chain:
    return Chain(tenant=row.tenant, correlation_id=row.correlation_id, key=key_of(row))


def key_of(row: ChainRow) -> WorkItemKey | None:
    if not row.item_id:
        return None
    return WorkItemKey(organisation=row.organisation, project=row.project, id=row.item_id)


def needed_key(chain: Chain) -> WorkItemKey:
    """The work item that the chain is about; without one, the caller has made a mistake."""
    if chain.key is None:
        raise ValueError(f"chain {chain.correlation_id!r} names no work item")
    return chain.key
