"""What a comparison came to, item by item. A workflow counts, too, so it imports little."""

from pointsman.contracts.reconciliation import (
    TROUBLE,
    Compared,
    ReconcileFinding,
    ReconcileTally,
    SyncStanding,
)

FINDINGS_MAX = 100
"""Each step carries them through the history."""
QUIET = frozenset({SyncStanding.EQUAL, SyncStanding.PENDING, SyncStanding.UNHEARD, SyncStanding.FOREIGN})
"""Nothing has to be said of these but how many they are."""


def counted(tally: ReconcileTally, item_id: int, compared: Compared, *, repaired: bool = False) -> ReconcileTally:
    """The tally with one item more."""
    standing = compared.standing
    counts = {**tally.counts, standing.value: tally.counts.get(standing.value, 0) + 1}
    findings = tally.findings
    if standing not in QUIET and len(findings) < FINDINGS_MAX:
        one = ReconcileFinding(item_id=item_id, standing=standing, reason=compared.reason, repaired=repaired)
        findings = (*findings, one)
    trouble = tally.trouble + (standing in TROUBLE and not repaired)
    return tally.model_copy(
        update={"items": tally.items + 1, "counts": counts, "findings": findings, "trouble": trouble}
    )
