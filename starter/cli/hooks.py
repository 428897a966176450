"""Service hooks on the command line: listed, brought to what policy wants, tested, given another secret."""

from collections.abc import Sequence

from pointsman.config import Settings, variable
from pointsman.contracts.hooks import FoundHook, HookAction, HookNotification, HookStatus, HookStep, WantedHook
from pointsman.contracts.recovery import HookProblem
from pointsman.domain.hooks import filters_told
from pointsman.domain.words import how_many
from pointsman.ports import HookService
from starter.cli import organisations
from starter.cli.call import Call
from starter.cli.context import policy
from starter.cli.errors import CliError, ExitCode
from starter.cli.output import Listing, Record
from starter.hooks import (
    WRITES,
    NotTaken,
    Standing,
    Unfinished,
    about,
    carry_out,
    newest_secret,
    ours,
    probe,
    receiver_url,
    rotating,
    service,
    standings,
    unlisted,
    unrecovered,
)

COLUMNS = ("organisation", "subscription", "event", "status", "filters", "url")
STEPS = ("organisation", "action", "event", "project", "subscription", "why")
TESTS = ("organisation", "event", "result", "error")
UNSENT = "would be sent"
BY_HAND = "enable or delete in Azure DevOps what somebody disabled there"
MEND = "mend them: pointsman hooks ensure"
_SECRETS = variable("webhook_secrets")


async def listed(call: Call, settings: Settings, *, every: bool, exit_status: bool) -> ExitCode:
    """Subscriptions that post to us, and those that policy wants and nobody has made; with `every` those of others."""
    url = receiver_url(settings)
    async with service(settings) as hooks:
        found = await _read(hooks, settings)
    own = [hook for one in found for hook in ours(one, url)]
    shown = [hook for one in found for hook in one.there] if every else own
    missing = [step.wanted for one in found for step in one.steps if step.action is HookAction.CREATE and step.wanted]
    call.show(Listing("hooks", COLUMNS, [*map(_row, shown), *map(_missing, missing)]))
    broken = [hook for hook in own if hook.status != HookStatus.ENABLED]
    if broken:
        by_hand = all(hook.status == HookStatus.DISABLED_BY_USER for hook in broken)
        hint = BY_HAND if by_hand else MEND
        call.out.say(f"{len(broken)} of {len(own)} lose events; {hint}")
    if missing:
        call.out.say(f"{len(missing)} that policy wants are not there; {MEND}")
    without = _tell_unlisted(call, settings, own)
    return ExitCode.FINDINGS if (broken or missing or without) and exit_status else ExitCode.OK


async def ensure(call: Call, settings: Settings, *, prune: bool, discard: bool, dry_run: bool) -> ExitCode:
    """Make, replace and take away subscriptions until they are as policy wants them."""
    async with service(settings, newest_secret(settings)) as hooks:
        found = await _read(hooks, settings, prune=prune)
        steps = [step for one in found for step in one.steps]
        if not discard:
            await _keep_failed(call, hooks, steps, dry_run=dry_run)
        if not dry_run:
            await _change(hooks, found, [step for one in found for step in one.writes])
        made = await _read(hooks, settings) if settings.webhook_subscriptions and not dry_run else found
    call.show(Listing("steps", STEPS, [_step(step) for step in steps]))
    writes, left = [step for step in steps if step.action in WRITES], [step for one in found for step in one.left]
    if dry_run:
        call.out.say(f"{how_many(len(writes), 'change')} would be made; nothing was done")
        return ExitCode.FINDINGS if writes or left else ExitCode.OK
    call.out.say(f"{how_many(len(writes), 'change')} made; right before: {len(steps) - len(writes) - len(left)}")
    without = _tell_unlisted(call, settings, [hook for one in made for hook in ours(one, receiver_url(settings))])
    return max(_told_left(call, left, _on_left(left)), ExitCode.FINDINGS if without else ExitCode.OK)


async def tested(call: Call, settings: Settings, events: Sequence[str], *, dry_run: bool) -> ExitCode:
    """Have each organisation deliver an invented event of each type that policy subscribes to."""
    rows: list[Record] = []
    async with service(settings, newest_secret(settings)) as hooks:
        for one in await _read(hooks, settings):
            by_event = {want.event_type: want for want in one.wants}
            for event, want in by_event.items():
                if not events or event in events:
                    told = HookNotification(id=0, result=UNSENT) if dry_run else await hooks.test(want)
                    row = {"organisation": one.organisation, "event": event, "result": told.result, "error": told.error}
                    rows.append(row)
    call.show(Listing("tests", TESTS, rows))
    if not rows:
        raise CliError(
            "nothing_to_test",
            f"Policy subscribes to no {' or '.join(events) or 'event'}, so nothing was sent.",
            "See what policy subscribes to: pointsman policy show",
            ExitCode.NOT_FOUND,
        )
    if dry_run:
        call.out.say(f"{how_many(len(rows), 'test')} would be asked for; nothing was done")
        return ExitCode.OK
    if all(row["result"] == "succeeded" for row in rows):
        return ExitCode.OK
    call.out.say("not each was taken; see who answers under the public address: pointsman doctor --online")
    return ExitCode.FINDINGS


async def rotate(call: Call, settings: Settings, *, discard: bool, dry_run: bool) -> ExitCode:
    """Give every subscription the newest secret, after a test has shown that the receiver takes it."""
    if len(settings.webhook_secrets) < 2:
        raise CliError(
            "no_new_secret",
            f"{_SECRETS} holds {len(settings.webhook_secrets)} secret: rotating needs the old one and, behind it, the "
            "new one, so that deliveries with either are taken meanwhile. Nothing was changed.",
            "Make one (openssl rand -hex 32), put it behind the old one, restart the web process, then run it again: "
            "pointsman hooks rotate",
            ExitCode.USAGE,
        )
    async with service(settings, newest_secret(settings)) as hooks:
        found = await _read(hooks, settings)
        steps = rotating([step for one in found for step in one.steps])
        writes = [step for step in steps if step.action in WRITES]
        if not discard:
            await _keep_failed(call, hooks, steps, dry_run=dry_run)
        if not dry_run:
            await _change(hooks, found, writes)
            await _prove(hooks, found)
    call.show(Listing("steps", STEPS, [_step(step) for step in steps]))
    if dry_run:
        call.out.say(f"{how_many(len(writes), 'subscription')} would get the new secret; nothing was done")
        return ExitCode.OK
    left = [step for one in found for step in one.left]
    if not left:
        call.out.say(f"every subscription has the new secret: take the old one out of {_SECRETS}, and restart")
    return _told_left(call, left, "these still have the old secret: keep it until they have gone: pointsman hooks list")


async def _keep_failed(call: Call, hooks: HookService, steps: Sequence[HookStep], *, dry_run: bool) -> None:
    """
    Raises:
        CliError: what failed, and can still be brought back, would be gone.
    """
    if not (kept := await unrecovered(hooks, steps)):
        return
    named = ", ".join(f"{how_many(count, 'delivery')} of {hook.event_type}" for hook, count in kept)
    lost = f"the service keeps what failed with the subscriptions that are to be made anew: {named}"
    if dry_run:
        call.out.say(f"{lost}; bring it back first: pointsman hooks recover")
        return
    raise CliError(
        "unrecovered",
        f"Nothing was changed: {lost}. It would be gone with them.",
        "Bring it back first, which makes them anew, too: pointsman hooks recover; or let it go with --discard",
        ExitCode.CONFLICT,
    )


async def _change(hooks: HookService, found: Sequence[Standing], steps: Sequence[HookStep]) -> None:
    """Try the receiver where something is to be written, then write."""
    places = {about(step).organisation for step in steps}
    await _try(hooks, [one for one in found if one.organisation in places], "Nothing was changed.")
    try:
        await carry_out(hooks, steps)
    except Unfinished as error:
        raise CliError(
            "unfinished", str(error), "Look at what is there, then run it again: pointsman hooks list", retryable=True
        ) from error


async def _prove(hooks: HookService, found: Sequence[Standing]) -> None:
    await _try(hooks, found, "All subscriptions have the new secret: keep the old one until this succeeds.")


async def _try(hooks: HookService, found: Sequence[Standing], state: str) -> None:
    try:
        for one in found:
            await probe(hooks, one)
    except NotTaken as error:
        raise CliError(
            "not_taken",
            f"{str(error).removesuffix(' Nothing was changed.')} {state}",
            f"Does the web process run, behind its public address, with the last secret of {_SECRETS}? "
            "Restart it, then test it: pointsman hooks test",
        ) from error


async def _read(hooks: HookService, settings: Settings, *, prune: bool = False) -> tuple[Standing, ...]:
    """
    Raises:
        CliError: no organisation is named.
    """
    organisations.names(settings)
    return await standings(hooks, settings, policy(settings).hooks, prune=prune)


def _tell_unlisted(call: Call, settings: Settings, own: Sequence[FoundHook]) -> bool:
    """Whether any is without effect."""
    if without := unlisted(settings, own):
        call.out.say(
            f"{len(without)} of {len(own)} are not on the list of {variable('webhook_subscriptions')}, so what they "
            f"deliver has no effect: {', '.join(hook.id for hook in without)}; add them, and restart the web process"
        )
    return bool(without)


def _on_left(left: Sequence[HookStep]) -> str:
    """What a human may do about each kind."""
    unwanted = "take them into policy, or take them away: pointsman hooks ensure --prune"
    told = [unwanted] * any(step.wanted is None for step in left) + [BY_HAND] * any(step.wanted for step in left)
    return "; ".join(told)


def _told_left(call: Call, left: Sequence[HookStep], hint: str) -> ExitCode:
    if not left:
        return ExitCode.OK
    call.out.say(f"{len(left)} left as they are; {hint}")
    return ExitCode.FINDINGS


def _row(hook: FoundHook) -> Record:
    return {
        "organisation": hook.organisation,
        "subscription": hook.id,
        "event": hook.event_type,
        "status": hook.status,
        "filters": filters_told(hook.event_type, hook.filters),
        "url": hook.url,
        "probation_retries": hook.probation_retries,
        "resource_version": hook.resource_version,
        "created_by": hook.created_by,
        "created_at": hook.created_at,
    }


def _missing(hook: WantedHook) -> Record:
    """A row as of one that is there, so that what reads rows finds each column."""
    place = FoundHook(
        organisation=hook.organisation,
        id="",
        event_type=hook.event_type,
        url=hook.url,
        filters=hook.filters,
        resource_version=hook.resource_version,
        status=HookProblem.MISSING,
    )
    return _row(place)


def _step(step: HookStep) -> Record:
    hook = about(step)
    return {
        "organisation": hook.organisation,
        "action": step.action.value,
        "event": hook.event_type,
        "project": step.wanted.project if step.wanted else "",
        "subscription": step.found.id if step.found else "",
        "why": step.why,
        "rule": step.wanted.rule if step.wanted else "",
    }
