"""The control API under `/_sandbox/`: what only a stand-in has. No credentials; it listens on loopback."""

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Body, HTTPException
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.allowance import Allowance
from pointsman.sandbox.azure_devops.behind import Behind
from pointsman.sandbox.azure_devops.rendering import Links, comment_json, item_json, update_json
from pointsman.sandbox.azure_devops.sandbox import Fault, Sandbox
from pointsman.sandbox.azure_devops.state import Item

BASE = ""  # URLs in dumps are relative: nobody called for them through a host


class Hold(BaseModel):
    """Hold the next delivery that fits, until a later event of the same item was delivered. Empty fits all."""

    model_config = ConfigDict(extra="forbid")

    event_type: str = ""
    item_id: int = 0


class Move(BaseModel):
    """How far the clock is to be moved ahead."""

    model_config = ConfigDict(extra="forbid")

    seconds: float = Field(ge=0)


class Condition(BaseModel):
    """What the service does to a subscription by itself, for example when its owner leaves."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["enabled", "disabledByUser", "disabledBySystem", "disabledByInactiveIdentity"]


class Deliveries(BaseModel):
    """What is given replaces what stands; what is not given stays."""

    model_config = ConfigDict(extra="forbid")

    repeat: int | None = None
    delay_seconds: float | None = None
    hold: list[Hold] | None = None
    lose: list[Hold] | None = None
    """As `hold`, but they never come."""
    paused: bool | None = None


router = APIRouter(prefix="/_sandbox")


@router.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@router.post("/deliveries")
async def change_deliveries(sandbox: Behind, wanted: Deliveries) -> dict[str, JsonValue]:
    _behave(sandbox, wanted)
    return _deliveries(sandbox)


@router.post("/clock")
async def move_clock(sandbox: Behind, wanted: Move) -> dict[str, JsonValue]:
    await sandbox.deliverer.advance(timedelta(seconds=wanted.seconds))
    return {"now": sandbox.world.clock.now()}


@router.post("/subscriptions/{subscription_id}")
async def change_subscription(sandbox: Behind, subscription_id: str, wanted: Condition) -> dict[str, JsonValue]:
    held = sandbox.deliverer.subscriptions.get(subscription_id)
    if held is None:
        raise HTTPException(404, f"no subscription {subscription_id}")
    held.status = wanted.status
    return _deliveries(sandbox)


@router.post("/deliveries/release")
async def release(sandbox: Behind) -> dict[str, JsonValue]:
    sandbox.deliverer.release()
    return _deliveries(sandbox)


@router.get("/deliveries")
def deliveries(sandbox: Behind) -> dict[str, JsonValue]:
    return _deliveries(sandbox)


@router.post("/faults")
def add_faults(sandbox: Behind, faults: Annotated[list[Fault], Body()]) -> dict[str, JsonValue]:
    sandbox.faults.extend(faults)
    return {"pending": sum(fault.times for fault in sandbox.faults)}


@router.post("/allowance")
def change_allowance(sandbox: Behind, wanted: Allowance) -> dict[str, JsonValue]:
    sandbox.meter.set(wanted)
    return wanted.model_dump()


@router.get("/counters")
def counters(sandbox: Behind) -> dict[str, JsonValue]:
    return _counters(sandbox)


@router.get("/items")
def items(sandbox: Behind) -> dict[str, JsonValue]:
    return {name: [_item(item) for item in held.values()] for name, held in sandbox.world.items.items()}


@router.post("/clear")
async def clear(sandbox: Behind) -> dict[str, JsonValue]:
    sandbox.forget()
    return _counters(sandbox)


def _behave(sandbox: Sandbox, wanted: Deliveries) -> None:
    behaviour = sandbox.deliverer.behaviour
    if wanted.repeat is not None:
        behaviour.repeat = wanted.repeat
    if wanted.delay_seconds is not None:
        behaviour.delay_seconds = wanted.delay_seconds
    if wanted.hold is not None:
        behaviour.hold = [(hold.event_type, hold.item_id) for hold in wanted.hold]
    if wanted.lose is not None:
        behaviour.lose = [(lose.event_type, lose.item_id) for lose in wanted.lose]
    if wanted.paused is not None:
        sandbox.deliverer.pause(wanted.paused)


def _deliveries(sandbox: Sandbox) -> dict[str, JsonValue]:
    deliverer = sandbox.deliverer
    subscriptions: list[JsonValue] = [
        {
            "id": held.id,
            "event_type": held.event_type,
            "status": held.status,
            "url": held.consumer["url"],
            "probation_retries": held.probation_retries,
            "notifications": held.last_notification,
        }
        for held in deliverer.subscriptions.values()
    ]
    attempts: list[JsonValue] = [asdict(attempt) for attempt in deliverer.attempts]
    hold: list[JsonValue] = [{"event_type": name, "item_id": item} for name, item in deliverer.behaviour.hold]
    return {
        "repeat": deliverer.behaviour.repeat,
        "paused": deliverer.behaviour.paused,
        "hold": hold,
        "held": len(deliverer.held),
        "pending": deliverer.history.pending(),
        "subscriptions": subscriptions,
        "attempts": attempts,
        "lost": list(deliverer.lost),
    }


def _counters(sandbox: Sandbox) -> dict[str, JsonValue]:
    writes: list[JsonValue] = [
        {"organisation": organisation, "item_id": item_id, "by": by, "count": count}
        for (organisation, item_id, by), count in sorted(sandbox.writes.items())
    ]
    return {
        "requests": dict(sorted(sandbox.requests.items())),
        "writes": writes,
        "faults_injected": sandbox.injected,
        "faults_pending": sum(fault.times for fault in sandbox.faults),
    }


def _item(item: Item) -> dict[str, Json]:
    links = Links(BASE, item.organisation, plain=True)
    return {
        "item": item_json(item, links, "all"),
        "deleted": item.deleted is not None,
        "updates": [update_json(item, update, links) for update in item.updates],
        "comments": [comment_json(item, comment, links) for comment in item.comments],
    }
