"""What one rule says, and how several are put together."""

from collections.abc import Sequence
from typing import NamedTuple

from pointsman.contracts.process import Standing

EVIDENCE_CHARS = 500


class Verdict(NamedTuple):
    """`update` is the entry of the history that broke the rule; 0 where it is about how things stand. `about` tells
    violations of one check apart that a project has at once, and stays the same while they last."""

    standing: Standing
    evidence: str = ""
    update: int = 0
    about: str = ""


Verdicts = Sequence[Verdict]
"""Each violation by itself, else one that says that it holds or that nothing is known. None: it does not apply."""


def held(evidence: str = "") -> Verdicts:
    return [Verdict(Standing.HELD, evidence)]


def unknown(what: str) -> Verdicts:
    return [Verdict(Standing.NO_DATA, what)]


def broken(evidence: str, update: int = 0) -> Verdicts:
    return [Verdict(Standing.VIOLATED, evidence, update)]


def decided(violations: Verdicts, doubts: Sequence[str] = (), evidence: str = "") -> Verdicts:
    """Violations where there are any; else what could not be known; else it holds."""
    if violations:
        return violations
    return unknown(short("; ".join(doubts))) if doubts else held(evidence)


def all_of(parts: Sequence[Verdicts]) -> Verdicts:
    every = [one for part in parts for one in part]
    if not every:
        return []
    return decided(_of(Standing.VIOLATED, every), [one.evidence for one in _of(Standing.NO_DATA, every)])


def any_of(parts: Sequence[Verdicts]) -> Verdicts:
    """One part that holds is enough; as long as one is not known, none of the others can break it."""
    applying = [part for part in parts if part]
    if not applying:
        return []
    if found := next((part for part in applying if _whole(part, Standing.HELD)), None):
        return found
    every = [one for part in applying for one in part]
    doubts = _of(Standing.NO_DATA, every)
    told = short("; ".join(one.evidence for one in (doubts or every) if one.evidence))
    return unknown(told) if doubts else broken(told, max(one.update for one in every))


def short(text: str) -> str:
    return text if len(text) <= EVIDENCE_CHARS else f"{text[: EVIDENCE_CHARS - 3]}..."


def _of(standing: Standing, verdicts: Verdicts) -> Verdicts:
    return [one for one in verdicts if one.standing is standing]


def _whole(verdicts: Verdicts, standing: Standing) -> bool:
    return all(one.standing is standing for one in verdicts)
