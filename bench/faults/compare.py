"""Compares what was acknowledged and done outside with what our books say. Nothing here acts."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.faults.evidence import Book, Evidence, Row
from pointsman.contracts.base import Json
from pointsman.contracts.records import Attempt, AttemptKind, DeliveryState, WriteRecord
from pointsman.contracts.work_items import ENDED, WorkItemState

REFUSED_EARLY = ("Unavailable", "cancelled")
"""Outcomes of attempts after which asking again is right, besides none at all."""


@dataclass(frozen=True)
class Violation:
    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


@dataclass(frozen=True)
class Doubt:
    """An effect outside of which our books do not know the outcome, and why that is so."""

    item: int
    kind: str
    subject: str
    evidence: str


def violations(seen: Evidence) -> list[Violation]:
    rules: dict[str, Callable[[Evidence], Iterator[str]]] = {
        "what is acknowledged is kept": kept,
        "every event is delivered": delivered,
        "every delivery has its effect": effective,
        "every item comes to its end": ended,
        "what is deleted is withdrawn, what is restored goes on": withdrawn,
        "every write happens once": written_once,
        "every comment is written once": commented_once,
        "a model request is repeated only in doubt": asked_once,
        "a tool call is repeated only in doubt": called_once,
        "the audit log verifies": audited,
    }
    return [Violation(rule, what) for rule, check in rules.items() for what in check(seen)]


def kept(seen: Evidence) -> Iterator[str]:
    """Each answer 202 has a row of its own, and of the rows of one event all but the first are known as duplicates."""
    answered = Counter(_event(one) for one in seen.attempts if one["status"] == 202)
    rows = Counter((row.subscription_id, row.event_id) for row in seen.inbox)
    firsts = Counter(
        (row.subscription_id, row.event_id) for row in seen.inbox if row.state is not DeliveryState.DUPLICATE
    )
    for event, times in answered.items():
        if rows[event] < times:
            yield f"event {event[1]} of subscription {event[0]}: {times} answers 202, {rows[event]} rows in the inbox"
        if firsts[event] > 1:
            yield f"event {event[1]} of subscription {event[0]}: {firsts[event]} rows that are no duplicates"


def delivered(seen: Evidence) -> Iterator[str]:
    """The run itself is only worth something if the stand-in gave nothing up."""
    for lost in seen.lost:
        yield f"the stand-in gave up event {lost['event_id']} ({lost['event_type']} of item {lost['item_id']})"
    accepted: dict[str, set[Json]] = defaultdict(set)
    for one in seen.attempts:
        if one["status"] == 202:
            accepted[str(one["subscription"])].add(one["event_id"])
    for subscription in seen.subscriptions:
        name, got = subscription["event_type"], len(accepted[str(subscription["id"])])
        if subscription["status"] != "enabled" or got != subscription["notifications"]:
            yield f"{name}: {got} of {subscription['notifications']} events accepted, {subscription['status']}"


def effective(seen: Evidence) -> Iterator[str]:
    for row in seen.inbox:
        if row.state in (DeliveryState.PENDING, DeliveryState.DEAD):
            yield f"delivery {row.id} ({row.event_type} of item {row.item_id}) is {row.state}: {row.reason}"


def ended(seen: Evidence) -> Iterator[str]:
    yield from seen.unfinished
    for item in seen.filed:
        row = seen.books[item].row
        if row is None:
            yield f"item {item} never came in"
        elif row.state not in ENDED:
            yield f"item {item} is {row.state}: {row.reason}"


def withdrawn(seen: Evidence) -> Iterator[str]:
    """Nothing else in the load withdraws an item, so the two sides agree on each."""
    for item, book in seen.books.items():
        if book.row is None or book.row.state not in ENDED:
            continue  # another rule's affair
        deleted = seen.items[item].deleted
        if deleted is not (book.row.state is WorkItemState.WITHDRAWN):
            where = "in the recycle bin" if deleted else "not in the recycle bin"
            yield f"item {item} is {where}, and {book.row.state} here: {book.row.reason}"


def written_once(seen: Evidence) -> Iterator[str]:
    """Revision by revision: what our account wrote there, and what our ledger says."""
    for item, book in seen.books.items():
        theirs = Counter(seen.items[item].revisions)
        ours = Counter(write.rev for write in book.writes if write.status == "written")
        for rev in sorted(ours - theirs):
            yield f"item {item}: the ledger has revision {rev} as written, and Azure DevOps not"
        surplus = sorted((theirs - ours).elements())
        if surplus and len(surplus) > len(_in_doubt(book)):
            yield f"item {item}: Azure DevOps has our revisions {surplus} that are neither written nor in doubt here"
        turns = Counter(write.operation.rpartition(".")[0] for write in book.writes if write.status == "written")
        for turn, times in turns.items():
            if times > 1:
                yield f"item {item}: turn {turn} was written {times} times"
        yield from _published(item, book, ours)


def _published(item: int, book: Book, ours: Mapping[int, int]) -> Iterator[str]:
    """What the workflow says it wrote, the ledger says too."""
    for one in book.transitions:
        if one.transition.after == "done" and one.transition.reason.startswith("written, revision "):
            rev = int(one.transition.reason.rpartition(" ")[2])
            if rev not in ours:
                yield f"item {item}: done with revision {rev}, which the ledger does not have as written"


def commented_once(seen: Evidence) -> Iterator[str]:
    """A comment may read like another one only where two turns wrote it."""
    for item, book in seen.books.items():
        ours = Counter(str(write.values.get("System.History", "")) for write in book.writes)
        for text, times in Counter(seen.items[item].comments).items():
            if times > ours[text]:
                yield f"item {item}: {times} comments {text[:60]!r}, {ours[text]} writes of it in the ledger"


def asked_once(seen: Evidence) -> Iterator[str]:
    by_step: dict[tuple[int, str], list[str]] = defaultdict(list)
    for request in seen.requests:
        by_step[_step(request)].append(str(request["body_sha256"]))
    bodies: dict[str, set[tuple[int, str]]] = defaultdict(set)
    for of_item, hashes in by_step.items():
        for one in hashes:
            bodies[one].add(of_item)
    for body, steps in bodies.items():
        if len(steps) > 1:
            yield f"body {body[:12]} was sent for {len(steps)} steps: {sorted(steps)[:3]}"
    for (item, step), hashes in by_step.items():
        known = [one for one in _attempts(seen, item, AttemptKind.MODEL) if one.subject == f"{step}/reply"]
        yield from _repeated(f"item {item}, step {step}", len(hashes), known)
        if len(set(hashes)) > 1:
            yield f"item {item}, step {step}: asked {len(hashes)} times with {len(set(hashes))} different bodies"


def called_once(seen: Evidence) -> Iterator[str]:
    for item in seen.books:
        by_subject: dict[str, list[Attempt]] = defaultdict(list)
        for one in _attempts(seen, item, AttemptKind.TOOL):
            by_subject[one.subject].append(one)
        for subject, known in by_subject.items():
            yield from _repeated(f"item {item}, {subject}", len(known), known)


def _repeated(what: str, times: int, known: Sequence[Attempt]) -> Iterator[str]:
    doubtful = [one for one in known if not one.outcome or one.outcome in REFUSED_EARLY]
    if times > len(known):
        yield f"{what}: {times} times outside, {len(known)} attempts in our books"
    elif times > 1 and times - 1 > len(doubtful):
        outcomes = [one.outcome or "none" for one in known]
        yield f"{what}: {times} times, and only {len(doubtful)} attempts in doubt (outcomes {outcomes})"


def audited(seen: Evidence) -> Iterator[str]:
    yield from map(str, seen.audit.findings)
    if not sum(log.size for log in seen.audit.logs):
        yield "the log is empty"


def doubts(seen: Evidence) -> list[Doubt]:
    """All effects whose outcome our books do not know, with what the other side knows of them."""
    asked = Counter(_step(request) for request in seen.requests)
    found = []
    for item, book in seen.books.items():
        for one in book.attempts:
            if not one.outcome:
                evidence = (
                    f"attempt {one.caller.attempt} of {one.target} began {one.started_at:%H:%M:%S} and was cut off"
                )
                if one.kind is AttemptKind.MODEL:
                    step = one.subject.removesuffix("/reply")
                    evidence += f"; the provider saw {asked[item, step]} requests of this step"
                found.append(Doubt(item, one.kind.value, one.subject, evidence))
        for write in _in_doubt(book):
            evidence = f"based on revision {write.base_rev}; Azure DevOps has our {seen.items[item].revisions}"
            found.append(Doubt(item, "write", write.operation, evidence))
    return found


def counts(seen: Evidence) -> dict[str, int]:
    """Figures for the report."""
    asked = Counter(_step(request) for request in seen.requests)
    tools = Counter(
        (item, one.subject)
        for item, book in seen.books.items()
        for one in book.attempts
        if one.kind is AttemptKind.TOOL
    )
    states = Counter(row.state.value for row in seen.inbox)
    ends = Counter(book.row.state.value for book in seen.books.values() if book.row)
    in_doubt = Counter(doubt.kind for doubt in doubts(seen))
    answered = [one for one in seen.attempts if one["status"] == 202]
    return {
        "items": len(seen.filed),
        "items_in_the_recycle_bin": sum(theirs.deleted for item, theirs in seen.items.items() if item in seen.books),
        **{f"items_{state}": number for state, number in sorted(ends.items())},
        "delivery_attempts": len(seen.attempts),
        "deliveries_acknowledged": len(answered),
        "deliveries_repeated_by_order": sum(bool(one["repeated"]) for one in answered),
        "events": len({_event(one) for one in seen.attempts}),
        "events_lost": len(seen.lost),
        "inbox_rows": len(seen.inbox),
        **{f"inbox_{state}": number for state, number in sorted(states.items())},
        "writes_outside": sum(len(theirs.revisions) for item, theirs in seen.items.items() if item in seen.books),
        "writes_in_ledger": sum(write.status == "written" for book in seen.books.values() for write in book.writes),
        "writes_in_doubt": in_doubt["write"],
        "model_requests": len(seen.requests),
        "model_requests_repeated": sum(number - 1 for number in asked.values()),
        "model_attempts_in_doubt": in_doubt["model"],
        "tool_calls": sum(tools.values()),
        "tool_calls_repeated": sum(number - 1 for number in tools.values()),
        "tool_attempts_in_doubt": in_doubt["tool"],
        "audit_events": sum(log.size for log in seen.audit.logs),
    }


def _in_doubt(book: Book) -> list[WriteRecord]:
    return [write for write in book.writes if write.status == "intended"]


def _attempts(seen: Evidence, item: int, kind: AttemptKind) -> list[Attempt]:
    return [one for one in seen.books[item].attempts if one.kind is kind] if item in seen.books else []


def _event(attempt: Row) -> tuple[str, str]:
    return str(attempt["subscription"]), str(attempt["event_id"])


def _step(request: Row) -> tuple[int, str]:
    """Item and step, as our requests name them to the provider."""
    metadata = request.get("metadata")
    told = metadata if isinstance(metadata, dict) else {}
    return int(str(told.get("item", "0")).rpartition("/")[2]), str(told.get("step", ""))
