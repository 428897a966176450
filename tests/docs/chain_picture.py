"""The picture of a chain in the documentation: the demo's bug, told through the store's own doors, and drawn as usual.

Ids are fixed, and times are those of a clock that stands still between two things, so that the file is always the same.
"""

import asyncio
import json
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pointsman.contracts.base import Json
from pointsman.contracts.escalations import Escalation, EscalationKind, Verb
from pointsman.contracts.policy import Ladder, Rung, Severity
from pointsman.contracts.records import AttemptKind, Caller, Chain, DeliveryState, NewDelivery, WriteIntent
from pointsman.contracts.work_items import Facts, WorkItemKey
from pointsman.domain.chain_pictures import draw
from pointsman.domain.chains import edges_told
from pointsman.domain.deliveries import read_bytes
from pointsman.domain.echoes import told
from pointsman.store import schema
from pointsman.store.attempts import Attempts
from pointsman.store.chain_walks import Chains
from pointsman.store.engine import Store
from pointsman.store.escalations import Escalations
from pointsman.store.inbox import Inbox
from pointsman.store.items import Items
from pointsman.store.ledger import Ledger
from starter.chains import ChainBooks, find
from starter.demo.run import BUG

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
KEY = WorkItemKey(organisation="demo", project="Shop", id=1)
RUN = "ado/demo/Shop/1"
CHAIN = Chain(tenant="default", correlation_id="created", key=KEY)
LADDER = Ladder(severity=Severity.HIGH, rungs=(Rung(notify=("team",), wait=timedelta(hours=1)),))
COMMIT = "1f" * 20


def delivery(name: str, minutes: int, event_type: str, resource: Json) -> NewDelivery:
    containers: Json = {"collection": {"baseUrl": "https://dev.azure.com/demo/"}}
    body = json.dumps({"eventType": event_type, "resource": resource, "resourceContainers": containers}).encode()
    heard = read_bytes(body)
    return NewDelivery(
        id=name,
        received_at=START + timedelta(minutes=minutes),
        tenant="default",
        organisation="demo",
        event_type=event_type,
        idempotency_key=name,
        item_id=heard.item_id if heard.kind else 0,
        project="Shop",
        body=body,
        state=DeliveryState.PENDING if heard.kind else DeliveryState.UNKNOWN,
        edges=edges_told(heard, body, name),
    )


def written(rev: int) -> Json:
    fields: Json = {"Microsoft.VSTS.Common.Priority": {"oldValue": 2, "newValue": 1}}
    return {"id": rev, "workItemId": 1, "rev": rev, "fields": fields, "revisedBy": {"displayName": "Pointsman"}}


async def play(store: Store) -> None:
    """From the bug to the build of its fix."""
    inbox = Inbox(store)
    caller = Caller(workflow_id=RUN, run_id="r")
    by_ada: Json = {"System.ChangedBy": "Ada <ada@demo.example>", "System.Title": BUG[1]}
    parent: Json = [
        {"rel": "System.LinkTypes.Hierarchy-Reverse", "url": "https://dev.azure.com/demo/_apis/wit/workItems/7"}
    ]
    await inbox.accept(
        delivery("created", 0, "workitem.created", {"id": 1, "rev": 1, "fields": by_ada, "relations": parent})
    )
    await inbox.settle("created", DeliveryState.DISPATCHED, workflow_id=RUN)
    await Items(store).take_in(Facts(key=KEY, type=BUG[0], title=BUG[1], rev=1), CHAIN, caller)
    turn = Caller(workflow_id=f"{RUN}/turn-1", run_id="t")
    await Attempts(store).begin(AttemptKind.MODEL, CHAIN, turn, "demo-model", "1/1/reply")
    asked = Escalation(
        key=KEY,
        tenant="default",
        correlation_id="created",
        number=1,
        kind=EscalationKind.APPROVAL,
        severity=Severity.HIGH,
        summary="May the priority be 1?",
        allowed=(Verb.APPROVE,),
        subject="ab" * 32,
        ladder=LADDER,
        agent="triage",
    )
    await Escalations(store).open(asked, Caller(workflow_id=f"{RUN}/escalation-1", run_id="e"))
    values: dict[str, Json] = {"Microsoft.VSTS.Common.Priority": 1}
    await Ledger(store).intend(WriteIntent(operation="publish-1", chain=CHAIN, base_rev=1, values=values), caller)
    await Ledger(store).settle("publish-1", "written", 2, caller)
    await inbox.accept(delivery("echo", 4, "workitem.updated", written(2)))
    await inbox.settle("echo", DeliveryState.ECHO, told("publish-1"), RUN)
    fix: Json = {"commits": [{"commitId": COMMIT, "comment": "Pay with gift cards only, #1"}], "pushedBy": "Bob"}
    await inbox.accept(delivery("push", 30, "git.push", fix))
    built: Json = {"id": 12, "sourceVersion": COMMIT, "result": "succeeded", "requestedFor": {"displayName": "Bob"}}
    await inbox.accept(delivery("build", 40, "build.complete", built))


async def picture() -> str:
    with tempfile.TemporaryDirectory(prefix="pointsman-picture-") as folder:
        url = f"sqlite:///{Path(folder) / 'store.db'}"
        schema.upgrade(url)
        async with Store.open(url) as store:
            await play(store)
            books = ChainBooks(Chains(store), Inbox(store), Items(store), Escalations(store), Ledger(store))
            found = await find(books, "event:created")
    order = ("event:created", "item:demo/7", "item:demo/1", f"run:{RUN}", f"run:{RUN}/turn-1", "escalation:ESC-1")
    rest = ("write:publish-1", "event:echo", "event:push", f"commit:demo/{COMMIT}", "event:build", "build:demo/12")
    things = {one.thing: one for one in found.told}
    assert set(things) == {*order, *rest}, set(things) ^ {*order, *rest}
    still = [
        things[name].model_copy(update={"at": START + timedelta(minutes=at)}) for at, name in enumerate((*order, *rest))
    ]
    return draw(found.walk, still)


def chain_picture() -> str:
    return asyncio.run(picture())
