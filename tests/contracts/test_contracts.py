"""Contracts stand in histories for ever: they only gain fields, each with a default, and read what they do not know."""

import json
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

import pytest
from pydantic import Field, ValidationError

from pointsman.contracts.base import Contract, Json
from pointsman.contracts.policy import Limits
from pointsman.contracts.work_items import WorkItemEvent
from tests.contracts import snapshot
from tests.contracts.shapes import Shapes, breaches, current, modules, shape
from tests.domain.samples import FACTS, KEY, POLICY

EVENT: dict[str, Json] = {
    "delivery_id": "d",
    "idempotency_key": "k",
    "correlation_id": "c",
    "kind": "updated",
    "key": {"organisation": "harbour", "project": "Quay", "id": 41},
}


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Before(Contract):
    name: str
    number: int = Field(default=1, gt=0)
    parts: tuple[str, ...] = ()


def test_contracts_lost_and_changed_nothing_that_histories_hold() -> None:
    assert breaches(snapshot.recorded(), current()) == []


def test_the_snapshot_holds_all_that_contracts_have_now() -> None:
    assert snapshot.recorded() == current(), f"run `{snapshot.COMMAND}` and commit fields.json"


def test_every_class_of_the_contracts_is_a_contract_or_an_enum() -> None:
    own = [
        thing
        for module in modules()
        for thing in vars(module).values()
        if isinstance(thing, type) and thing.__module__ == module.__name__
    ]
    assert len(own) > 50
    assert [thing.__name__ for thing in own if not issubclass(thing, Contract | StrEnum)] == []


class Renamed(Contract):
    label: str = ""
    number: int = Field(default=1, gt=0)
    parts: tuple[str, ...] = ()


class Retyped(Contract):
    name: str
    number: float = Field(default=1, gt=0)
    parts: list[str] = Field(default_factory=list)


class Tightened(Contract):
    name: str
    number: int = Field(default=1, gt=9)
    parts: tuple[str, ...] = Field(max_length=2)


class Demanding(Before):
    more: int


class Stricter(Contract):
    name: str
    number: int = Field(gt=0)
    parts: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (Renamed, ["it.name is gone"]),
        (
            Retyped,
            [
                "it.number was 'int [\\'Gt(gt=0)\\']', is 'float [\\'Gt(gt=0)\\']'",
                "it.parts was 'tuple[str, ...]', is 'list[str]'",
            ],
        ),
        (
            Tightened,
            [
                "it.number was 'int [\\'Gt(gt=0)\\']', is 'int [\\'Gt(gt=9)\\']'",
                "it.parts was 'tuple[str, ...]', is 'tuple[str, ...] [\\'MaxLen(max_length=2)\\'], required'",
            ],
        ),
        (Demanding, ["it.more is new and has no default"]),
        (Stricter, ["it.number was 'int [\\'Gt(gt=0)\\']', is 'int [\\'Gt(gt=0)\\'], required'"]),
    ],
)
def test_a_change_that_breaks_old_histories_is_found(after: type[Contract], told: list[str]) -> None:
    found = breaches({"it": shape(Before)}, {"it": shape(after)})
    assert [fault.replace('"', "'") for fault in found] == [line.replace("\\'", "'") for line in told]


def test_a_contract_and_a_value_of_an_enum_may_not_vanish() -> None:
    assert breaches({"it": shape(Before)}, {}) == ["it is gone"]
    assert breaches({"colour": shape(Colour)}, {"colour": {"red": "value"}}) == ["colour.blue is gone"]


class Wider(Before):
    name: str = ""
    more: dict[str, int] | None = None


def test_what_has_a_default_may_be_added() -> None:
    grown = {"it": shape(Wider), "new": {"must": "str, required"}, "colour": {**shape(Colour), "green": "value"}}
    assert breaches({"it": shape(Before), "colour": shape(Colour)}, grown) == []
    assert grown["it"]["more"] == "dict[str, int] | NoneType"


def planted(change: Callable[[Shapes], object], file: Path) -> None:
    """A snapshot of a past in which contracts differed from now."""
    shapes = current()
    change(shapes)
    file.write_text(json.dumps(shapes), encoding="utf-8")


def test_the_command_records_what_was_gained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "fields.json"
    planted(lambda shapes: shapes["policy.Limits"].pop("tokens"), file)
    assert snapshot.main(file) == 0
    assert snapshot.recorded(file) == current()
    assert f"{len(current())} contracts" in capsys.readouterr().out
    file.unlink()
    assert snapshot.main(file) == 0


def test_the_command_refuses_to_record_a_loss(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "fields.json"
    planted(lambda shapes: shapes["policy.Limits"].update(patience="int"), file)
    before = file.read_bytes()
    assert snapshot.main(file) == 1
    assert file.read_bytes() == before
    assert "policy.Limits.patience is gone: contracts only gain fields" in capsys.readouterr().err


def test_what_a_newer_worker_added_is_ignored_by_an_older() -> None:
    assert WorkItemEvent.model_validate({**EVENT, "mood": "bright"}) == WorkItemEvent.model_validate(EVENT)


def test_what_an_older_worker_did_not_know_has_its_default() -> None:
    assert (WorkItemEvent.model_validate(EVENT).replayed_by, Limits.model_validate({}).wall_time) == (
        "",
        timedelta(minutes=30),
    )


@pytest.mark.parametrize("message", [KEY, FACTS, POLICY], ids=lambda message: type(message).__name__)
def test_a_message_survives_its_way_through_a_history_and_cannot_be_changed(message: Contract) -> None:
    assert type(message).model_validate_json(message.model_dump_json()) == message
    field = next(iter(type(message).model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(message, field, None)


def test_a_key_reads_as_people_name_an_item() -> None:
    assert str(KEY) == "harbour/Quay/41"
