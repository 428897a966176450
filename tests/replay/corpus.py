"""The recorded histories: one file each, `<workflow type>.<path>.json`, one event a line, no machine named in it."""

import json
import re
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from temporalio.client import WorkflowHistory

from pointsman.contracts.base import Contract, Json
from pointsman.temporal import data_converter

FOLDER = Path(__file__).with_name("histories")
RECORDER = "recorder"
# Clients, workers and the sticky queues of these call themselves by process and host.
IDENTITY = re.compile(r"\b\d+@[\w.-]+?(?=-[0-9a-f]{32}\b|[\"\s:]|$)")

Message = TypeVar("Message", bound=Contract)


@dataclass(frozen=True)
class Recorded:
    """A history with what its JSON drops."""

    name: str
    workflow_type: str
    workflow_id: str
    history: WorkflowHistory

    @property
    def path(self) -> str:
        return self.name.partition(".")[2]


def names(folder: Path = FOLDER) -> list[str]:
    return sorted(file.stem for file in folder.glob("*.json"))


def load(name: str, folder: Path = FOLDER) -> Recorded:
    document = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    history = WorkflowHistory.from_json(document["workflow_id"], {"events": document["events"]})
    return Recorded(name, document["workflow_type"], document["workflow_id"], history)


def save(name: str, history: WorkflowHistory, folder: Path = FOLDER) -> Path:
    """Write a history. What would name this machine or its processes is replaced."""
    workflow_type = history.events[0].workflow_execution_started_event_attributes.workflow_type.name
    assert name.partition(".")[0] == workflow_type, f"{name} is a history of {workflow_type}"
    events = ",\n".join(
        json.dumps(_bare(event), sort_keys=True, separators=(",", ":")) for event in history.to_json_dict()["events"]
    )
    head = json.dumps({"workflow_type": workflow_type, "workflow_id": history.workflow_id})[:-1]
    file = folder / f"{name}.json"
    file.write_text(f'{head}, "events": [\n{IDENTITY.sub(RECORDER, events)}\n]}}\n', encoding="utf-8")
    return file


def _bare(value: Json) -> Json:
    """Without stack traces: they name folders, and replay does not look at them."""
    if isinstance(value, dict):
        return {key: _bare(inner) for key, inner in value.items() if key != "stackTrace"}
    return [_bare(inner) for inner in value] if isinstance(value, list) else value


async def started_with(recorded: Recorded, kind: type[Message]) -> Message:
    """The input of the run."""
    payloads = recorded.history.events[0].workflow_execution_started_event_attributes.input.payloads
    return await _read(payloads, kind)


async def ended_with(recorded: Recorded, kind: type[Message]) -> Message | None:
    """The result of the run; None when it has none."""
    last = recorded.history.events[-1]
    if not last.HasField("workflow_execution_completed_event_attributes"):
        return None
    return await _read(last.workflow_execution_completed_event_attributes.result.payloads, kind)


async def _read(payloads: Sequence[object], kind: type[Message]) -> Message:
    (message,) = await data_converter().decode(payloads, [kind])  # type: ignore[arg-type]  # protobuf's own container
    assert isinstance(message, kind)
    return message


def readable(value: Json) -> list[str]:
    """All that a document says, its payloads decoded."""
    if isinstance(value, dict):
        return [
            text
            for key, inner in value.items()
            for text in ([b64decode(inner).decode()] if key == "data" and isinstance(inner, str) else readable(inner))
        ]
    if isinstance(value, list):
        return [text for inner in value for text in readable(inner)]
    return [value] if isinstance(value, str) else []
