"""What can happen to an item that a person and an agent write to, and how Hypothesis draws it."""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from pointsman.contracts.base import Json

PRIORITY, TITLE, STEPS, STATE = (
    "Microsoft.VSTS.Common.Priority",
    "System.Title",
    "Microsoft.VSTS.TCM.ReproSteps",
    "System.State",
)
LINES = "<p>one</p><p>two</p><p>three</p>"
TROUBLES = (
    "",
    "request lost",
    "answer lost",
    "overtaken",
    "killed before the request",
    "killed before the result",
    "killed behind the result",
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    PRIORITY: st.integers(1, 4),
    TITLE: st.sampled_from(["Basket is empty", "Basket is lost", "Basket"]),
    STEPS: st.sampled_from(
        [LINES, LINES.replace("one", "ONE"), LINES.replace("three", "THREE"), f"{LINES}<p>four</p>"]
    ),
    STATE: st.sampled_from(["New", "Active", "Resolved"]),
}


@dataclass(frozen=True)
class Act:
    """A person does something: set | tag | say | link | unlink."""

    kind: str
    told: Any


@dataclass(frozen=True)
class Arrival:
    """One of the events under way arrives, and perhaps it comes once more."""

    place: int
    again: bool


@dataclass(frozen=True)
class Hearing:
    """The run judges all that has arrived; where the answer is `lost`, twice."""

    lost: bool


@dataclass(frozen=True)
class Turn:
    """An agent reads the item, hears of what a person does next, does not hear of what they do then, and proposes."""

    heard: list[Act]
    unheard: list[Act]
    fields: dict[str, Json]
    tags: list[str]
    comment: str
    links: list[tuple[str, int]]


@dataclass(frozen=True)
class Attempt:
    """The run writes after what a person did `before`, with what goes wrong on the way. A human who is asked takes ours
    in the fields of `mine`."""

    before: list[Act]
    trouble: str
    faster: tuple[str, Json]
    mine: frozenset[str]


@dataclass(frozen=True)
class Going:
    """The run goes on: with the attempt where there is something to write, with the turn where there is nothing."""

    turn: Turn
    attempt: Attempt


names = st.sampled_from(sorted(VALUES))
fields = names.flatmap(lambda name: st.tuples(st.just(name), VALUES[name]))
changes = st.sets(names, max_size=3).flatmap(
    lambda chosen: st.fixed_dictionaries({name: VALUES[name] for name in sorted(chosen)})
)
tags = st.lists(st.sampled_from(["crane", "noon"]), max_size=2)
sets = st.builds(Act, st.just("set"), fields)
others = st.one_of(
    st.builds(Act, st.just("tag"), tags),
    st.builds(Act, st.just("say"), st.sampled_from(["Look at the crane", "At noon"])),
    st.builds(Act, st.just("link"), st.integers(0, 1)),
    st.builds(Act, st.just("unlink"), st.integers(0, 3)),
)
acts = st.one_of(sets, sets, others)
meanwhile = st.lists(acts, max_size=3)
turns = st.builds(
    Turn,
    heard=meanwhile,
    unheard=meanwhile,
    fields=changes,
    tags=tags,
    comment=st.sampled_from(["", "Done."]),
    links=st.lists(st.tuples(st.sampled_from(["Related", "Child"]), st.integers(0, 1)), max_size=2),
)
attempts = st.builds(
    Attempt,
    before=st.lists(acts, max_size=2),
    trouble=st.sampled_from(TROUBLES),
    faster=fields,
    mine=st.frozensets(names),
)
goings = st.builds(Going, turns, attempts)
# Hypothesis likes what comes first: so the run goes on often.
happenings = st.one_of(
    goings, goings, acts, st.builds(Arrival, st.integers(0, 50), st.booleans()), st.builds(Hearing, st.booleans())
)
