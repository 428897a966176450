"""What Temporal's own UI tells people of a comparison, in Markdown."""

from pointsman.contracts.reconciliation import ReconcileCarry, ReconcileRequest, ReconcileTally
from pointsman.domain.story import BOTTOM, literal
from pointsman.domain.words import how_many

SHOWN_MAX = 20


def reconciliation(ask: ReconcileRequest, carry: ReconcileCarry) -> str:
    """How far it is, how items stand, and which are not as they should be."""
    dry = " (dry run: nothing is mended or kept)" if ask.dry_run else ""
    where = f"{literal(carry.project)}, items above {carry.after}" if carry.project else "done"
    lines = [f"### {literal(ask.organisation)} and our books{dry}", f"**{where}**: {literal(ask.reason)}", ""]
    lines += _tally(carry.tally) if carry.project else []
    for report in carry.reports:
        lines += ["", f"**{literal(report.project)}**", "", *_tally(report.tally)]
    return "\n".join([*lines, *BOTTOM])


def _tally(tally: ReconcileTally) -> list[str]:
    counts = ", ".join(f"{name} {count}" for name, count in sorted(tally.counts.items()))
    lines = [
        f"- items: {tally.items}" + (f" ({counts})" if counts else ""),
        f"- brought back: {how_many(tally.events, 'event')}; settled: {how_many(tally.writes, 'write')}; "
        f"in trouble: {how_many(tally.trouble, 'item')}",
    ]
    for one in tally.findings[:SHOWN_MAX]:
        mended = ", repaired" if one.repaired else ""
        lines.append(f"- {one.item_id} {one.standing}{mended}: {literal(one.reason)}")
    return lines
