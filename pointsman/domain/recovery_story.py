"""What Temporal's own UI tells people of a recovery, in Markdown."""

from pointsman.contracts.recovery import RecoverCarry, RecoverRequest, Stage
from pointsman.domain.story import BOTTOM, literal


def recovery(ask: RecoverRequest, carry: RecoverCarry) -> str:
    """How far it is, what came back, and what cannot."""
    tally = carry.tally
    dry = " (dry run: nothing is kept)" if ask.dry_run else ""
    lines = [
        f"### Events of {literal(ask.organisation)}/{literal(ask.project) or 'all projects'}{dry}",
        f"**{'done' if carry.stage is Stage.DONE else f'reading {carry.stage}'}**: {literal(ask.reason)}",
        "",
        f"- since: {carry.floor.isoformat(timespec='seconds') if carry.floor else 'the beginning'}",
        f"- batches: {carry.batches}, events recovered: {tally.events}, of items: {tally.items}",
        *(f"- {literal(kind)}: {count}" for kind, count in tally.recovered.items()),
    ]
    if tally.unrecovered:
        lines += ["", f"**Cannot be recovered ({tally.unrecovered_count}):**", ""]
        lines += [f"- {literal(one.what)}: {literal(one.reason)}" for one in tally.unrecovered[:20]]
    if tally.standing:
        lines += ["", f"**Cannot be recovered still ({len(tally.standing)}, counted before):**", ""]
        lines += [f"- {literal(one.what)}: {literal(one.reason)}" for one in tally.standing[:20]]
    return "\n".join([*lines, *BOTTOM])
