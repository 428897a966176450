"""What a run asks to be written, and which decisions of people on it still hold after an attempt.

A proposal may take several questions until it is written: on one field, on another, on a rule, on a quarantine. What
was decided is not asked again: it holds until the proposal is written, or makes way for that of another turn. What was
let pass holds until it is edited, too.
"""

from collections.abc import Mapping

from pointsman.contracts.lifecycle import Ask, Carry, DeliverRequest, FieldConflict, Publish, Published

UNDECIDED: Mapping[str, object] = {
    "approved_by": "",
    "despite": "",
    "let_pass": (),
    "allowed_breaches": (),
    "leave_out": (),
    "decided": (),
    "decided_by": "",
    "force": (),
}
"""Of `Carry`, as a turn begins: what people decided was on another proposal, also where that was never written."""


def write_of(request: DeliverRequest, carry: Carry, run_id: str) -> Publish:
    """The next write of a run. `run_id` is that of the first of its chain, so that no other run's write is meant."""
    assert carry.facts is not None, "facts are read before a write"
    assert carry.proposal is not None, "there is a proposal before a write"
    return Publish(
        key=request.key,
        tenant=request.tenant,
        correlation_id=request.correlation_id,
        operation=f"{run_id}/{carry.turns}.{carry.writes + 1}",
        proposal=carry.proposal.hash,
        base=carry.facts.snapshot,
        base_rev=carry.facts.rev,
        agent=carry.agent,
        force=carry.force,
        decided=decided(carry),
        decided_by=carry.decided_by,
        heard_rev=carry.heard_rev,
        proposed_at=carry.proposed_at,
        released_by=carry.released_by,
        sync=request.policy.sync,
        enforce_from=request.policy.process.enforce_from,
        despite=carry.despite,
        let_pass=carry.let_pass,
        allowed_breaches=carry.allowed_breaches,
        leave_out=carry.leave_out,
    )


def allowed(carry: Carry, ask: Ask, by: str) -> Carry:
    """The run's state once somebody lets rules be broken, by what the question showed and by nothing else. A question
    that was put before that was kept tells the checks alone."""
    checks = () if ask.breaches else ask.checks
    return carry.model_copy(
        update={
            "despite": by,
            "let_pass": (*carry.let_pass, *checks),
            "allowed_breaches": (*carry.allowed_breaches, *ask.breaches),
        }
    )


def decided(carry: Carry) -> tuple[FieldConflict, ...]:
    """Conflicts of the proposal that people have decided on: the last decision on each field, and whose it is."""
    latest = [one.model_copy(update={"by": carry.decided_by}) for one in carry.conflicts] if carry.decided_by else []
    return tuple({one.field: one for one in (*carry.decided, *latest)}.values())


def after(carry: Carry, published: Published) -> Carry:
    """The run's state after an attempt to write. A release from quarantine holds until it has been made use of: what
    stops the write earlier leaves it as it is."""
    released = published.status in ("conflict", "held_back")
    return carry.model_copy(
        update={
            "writes": carry.writes + 1,
            "force": (),
            "decided": decided(carry),
            "decided_by": "",
            "released_by": carry.released_by if released else "",
            "conflicts": published.conflicts,
            "quarantine": published.quarantine,
        }
    )
