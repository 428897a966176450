"""What `pointsman process check --keep` would do: the same check, here and not by the worker, over books that keep
nothing.
"""

from collections.abc import Iterable, Iterator

from activities.checking import Checking
from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.clients.azure_devops.process_facts import ProcessReader
from pointsman.config import Settings
from pointsman.contracts.process_control import OnOpen
from pointsman.contracts.violations import CheckCarry, CheckScope, CheckStep, ProcessViolation
from pointsman.domain.process import calls
from pointsman.domain.words import how_many
from pointsman.policies.process_graphs import load_graphs
from pointsman.store.supposed_violations import Supposed, SupposedViolations
from starter.cli.call import Call
from starter.cli.context import reading
from starter.cli.errors import ExitCode
from starter.cli.output import Listing, Record

COLUMNS = ("would", "violation", "item", "check", "severity", "evidence")


async def run(call: Call, settings: Settings, client: AzureDevOps, scope: CheckScope) -> ExitCode:
    """Read-only: the service and our books are read, nothing is started, written or sent."""
    async with reading(settings) as store:
        supposed = SupposedViolations(store)
        source = ProcessReader({scope.organisation: client})
        checking = Checking(source, supposed, load_graphs(), source)
        carry, follows = CheckCarry(), list[Record]()
        while not carry.done:
            carry = await checking.step(CheckStep(scope=scope, carry=carry))
            follows += _withdrawn(carry.called_off, supposed.told)
            follows += _followed(calls.planned(scope.on_open, supposed.untold(carry.act_on)), scope.on_open)
            call.out.say(
                f"{how_many(carry.tally.items, 'item')} inspected, "
                f"{how_many(carry.tally.standing, 'violation')} would stand"
            )
    rows = [*_turns(supposed.told), *follows]
    call.show(Listing("would", COLUMNS, rows))
    call.out.say("Nothing was kept, written or sent.")
    return ExitCode.FINDINGS if carry.tally.standing else ExitCode.OK


def _turns(told: Supposed) -> Iterator[Record]:
    turns = (
        ("open", told.opened),
        ("return", told.returned),
        ("stay", told.kept),
        ("resolve", told.resolved),
    )
    for would, violations in turns:
        for one in violations:
            yield _row(would, one, one.evidence)


def _followed(plan: calls.Plan, on_open: Iterable[OnOpen]) -> Iterator[Record]:
    for target, found in plan.messages.items():
        for one in found:
            yield _row("tell", one, target)
    for key, found in plan.comments.items():
        for one in found:
            yield _row("comment", one, f"on item {key.id}")
    for one in plan.uncommented:
        yield _row("no comment", one, calls.NO_PLACE)
    for one in plan.questions:
        yield _row("ask", one, "who takes it on?")
    wanted = [one for one in plan.told if calls.wanted(on_open, one).comment and one.key.id]
    for one in wanted:
        if one.key not in plan.comments:
            yield _row("no comment", one, f"not more than {calls.COMMENTS_MAX} items at once")


def _withdrawn(names: Iterable[str], told: Supposed) -> Iterator[Record]:
    for one in told.resolved:
        if one.id in names:
            yield _row("withdraw", one, "nobody is asked about it any more")


def _row(would: str, one: ProcessViolation, evidence: str) -> Record:
    return {
        "would": would,
        "violation": one.id,
        "item": f"{one.key.organisation}/{one.key.id or one.key.project}",
        "id": one.key.id,
        "check": one.check,
        "severity": one.severity.value,
        "state": one.state.value,
        "about": one.about,
        "evidence": evidence,
    }
