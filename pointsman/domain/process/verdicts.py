"""What one rule says, and how several are put together."""

from collections.abc import Sequence
from typing import NamedTuple

from pointsman.contracts.process import Standing

EVIDENCE_CHARS = 500
PART_CHARS = 200
STAYS = "this stays in the history, so waive it for a reason"
"""What is left to do about something that no later change undoes."""


class Verdict(NamedTuple):
    """`update` is the entry of the history that broke the rule; 0 where it is about how things stand. `about` tells
    violations of one check apart that a project has at once, and stays the same while they last. What is broken says
    beside what was found what was expected, and what mends it."""

    standing: Standing
    evidence: str = ""
    update: int = 0
    about: str = ""
    expected: str = ""
    mend: str = ""

    def told(self) -> str:
        """In sentences."""
        if not (self.expected or self.mend):
            return short(self.evidence)
        parts = (self.evidence, f"Expected: {self.expected}", f"To mend it: {self.mend}")
        return ". ".join(short(part, PART_CHARS) for part in parts)


Verdicts = Sequence[Verdict]
"""Each violation by itself, else one that says that it holds or that nothing is known. None: it does not apply."""


def held(evidence: str = "") -> Verdicts:
    return [Verdict(Standing.HELD, evidence)]


def unknown(what: str) -> Verdicts:
    return [Verdict(Standing.NO_DATA, what)]


def broken(evidence: str, *, expected: str, mend: str, update: int = 0, about: str = "") -> Verdicts:
    return [Verdict(Standing.VIOLATED, evidence, update, about, expected, mend)]


def decided(violations: Verdicts, doubts: Sequence[str] = (), evidence: str = "") -> Verdicts:
    """Violations where there are any; else what could not be known; else it holds."""
    if violations:
        return violations
    return unknown(short("; ".join(doubts))) if doubts else held(evidence)


def all_of(parts: Sequence[Verdicts]) -> Verdicts:
    every = [one for part in parts for one in part]
    if not every:
        return []
    violations = _of(Standing.VIOLATED, every)
    # One for each entry of the history that broke something: what is broken by how things stand is one violation.
    updates = dict.fromkeys(one.update for one in violations)
    whole = [_joined([one for one in violations if one.update == update], "and", update) for update in updates]
    return decided(whole, [one.evidence for one in _of(Standing.NO_DATA, every)])


def any_of(parts: Sequence[Verdicts]) -> Verdicts:
    """One part that holds is enough; as long as one is not known, none of the others can break it."""
    applying = [part for part in parts if part]
    if not applying:
        return []
    if found := next((part for part in applying if _whole(part, Standing.HELD)), None):
        return found
    every = [one for part in applying for one in part]
    doubts = _of(Standing.NO_DATA, every)
    if doubts:
        return unknown(short("; ".join(one.evidence for one in doubts if one.evidence)))
    return [_joined(every, "or", max(one.update for one in every))]


def _joined(violations: Verdicts, word: str, update: int) -> Verdict:
    """Several as one: all that was found, and `word` says whether all or one of it is to be mended."""
    one, *others = violations
    if not others:
        return one
    found = "; ".join(dict.fromkeys(each.evidence for each in violations if each.evidence))
    expected = f"; {word} ".join(dict.fromkeys(each.expected for each in violations if each.expected))
    ways = dict.fromkeys(each.mend.removesuffix(STAYS).removesuffix("; ") for each in violations)
    stays = [STAYS] if any(each.mend.endswith(STAYS) for each in violations) else []
    mend = "; ".join([f"; {word} ".join(filter(None, ways)), *stays])
    return Verdict(Standing.VIOLATED, found, update, one.about, expected, mend)


def short(text: str, chars: int = EVIDENCE_CHARS) -> str:
    return text if len(text) <= chars else f"{text[: chars - 3]}..."


def _of(standing: Standing, verdicts: Verdicts) -> Verdicts:
    return [one for one in verdicts if one.standing is standing]


def _whole(verdicts: Verdicts, standing: Standing) -> bool:
    return all(one.standing is standing for one in verdicts)
