"""What the agent of the stand-in does, step by step. A task names its script in its text: `script: asks`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pointsman.contracts.base import Json

NAMED: Final = re.compile(r"\bscript: ([a-z-]+)")


class Act(StrEnum):
    """`hear`: it waits for a message while it works. `stay`: it works on, and says nothing any more."""

    PROGRESS = "progress"
    ASK = "ask"
    AUTH = "auth"
    HEAR = "hear"
    STAY = "stay"
    ANSWER = "answer"
    SAY = "say"
    FAIL = "fail"
    REJECT = "reject"
    MESSAGE = "message"


@dataclass(frozen=True)
class Step:
    """`data` is what an answer says beside the empty values of the schema that was asked for."""

    act: Act
    text: str = ""
    data: Mapping[str, Json] | None = None


def answer(comment: str, **data: Json) -> Step:
    """An artifact with data."""
    return Step(Act.ANSWER, data={"comment": comment, **data})


WORKS = (
    Step(Act.PROGRESS, "reads the item"),
    Step(Act.PROGRESS, "looks for similar items"),
    answer("Looked at by a remote agent.", tags=["triaged"]),
)
SCRIPTS: Final[Mapping[str, tuple[Step, ...]]] = {
    "works": WORKS,
    "asks": (Step(Act.PROGRESS, "reads the item"), Step(Act.ASK, "Which release is it for?"), answer("As you say.")),
    "hears": (Step(Act.PROGRESS, "reads the item"), Step(Act.HEAR), answer("With what was said meanwhile.")),
    "wants-credentials": (Step(Act.AUTH, "Sign in to the wiki first."), answer("Read the wiki.")),
    "fails": (Step(Act.PROGRESS, "reads the item"), Step(Act.FAIL, "The index is broken.")),
    "rejects": (Step(Act.REJECT, "No such work here."),),
    "goes-silent": (Step(Act.PROGRESS, "reads the item"), Step(Act.STAY)),
    "answers-badly": (Step(Act.ANSWER, data={"verdict": "fine"}),),
    "answers-in-text": (Step(Act.SAY, "Looked at by a remote agent."),),
    "answers-at-once": (Step(Act.MESSAGE, "Looked at by a remote agent."),),
    "talks-too-much": (Step(Act.SAY, "too much " * 200_000),),
}
