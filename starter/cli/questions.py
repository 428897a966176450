"""What an organisation does where its documentation does not say: asked of the organisation itself, without harm.

`docs/assumptions.md` names these questions. Each reads, or has the service validate a change that it does not make.
The code is right whatever the answer; what it finds is told, and warned of where something will go worse than usual.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import Field, SecretStr

from pointsman.clients.azure_devops.answers import Answer, ConnectionData, Nothing, WorkItem
from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.clients.azure_devops.connection import Connection
from pointsman.clients.azure_devops.errors import NotSignedIn, TooManyResults
from pointsman.clients.azure_devops.history import REVISIONS, RevisionBatch
from pointsman.clients.azure_devops.hosts import NEWEST, Host, server_version
from pointsman.clients.azure_devops.names import segment
from pointsman.clients.azure_devops.pacing import Pace, Unobserved
from pointsman.clients.azure_devops.patches import add_tags, at_rev, set_field
from pointsman.clients.azure_devops.queries import RESULTS_MAX
from pointsman.config import Settings
from pointsman.config.organisations import Organisation
from pointsman.contracts.base import Json
from pointsman.domain.words import how_many
from pointsman.ports import Conflict, Missing, Rejected, Unavailable
from starter.accounts import tracker_accounts
from starter.cli.probes import Finding, Status, fail, ok, warn
from starter.organisations import client_of, credential_of

ITEMS_MAX = 50
DAYS = (30, 1)
RECENT = (
    "SELECT [System.Id] FROM WorkItems WHERE [System.ChangedDate] >= @today - {days} ORDER BY [System.ChangedDate] DESC"
)
NOBODY = 2_147_483_647  # above every number that an organisation has reached
TOLD = "see docs/assumptions.md"


class Heard(Unobserved):
    """What the organisation said of our pace meanwhile."""

    def __init__(self) -> None:
        self.answers = 0
        self.pauses: list[str] = []
        self.left: list[float] = []

    def answered(self, status: int) -> None:
        self.answers += 1

    def paused(self, reason: str, seconds: float) -> None:
        self.pauses.append(f"{reason} for {seconds:.0f} s")

    def remaining(self, units: float) -> None:
        self.left.append(units)


@dataclass(frozen=True)
class Ground:
    """What a question may use: the organisation, and items that changed lately, whichever project they are of."""

    organisation: Organisation
    client: AzureDevOps
    connection: Connection
    heard: Heard
    items: Sequence[WorkItem]


Ask = Callable[[Ground], Awaitable[Finding]]


class Raw(Answer):
    """A list as it came, to see in which shape its parts are."""

    value: list[dict[str, Json] | None] = Field(default_factory=list)


@dataclass(frozen=True)
class Question:
    id: str
    why: str
    ask: Ask


@asynccontextmanager
async def ground_of(organisation: Organisation) -> AsyncGenerator[Ground]:
    """Raises `Rejected` or `Unavailable` where even reading fails."""
    heard = Heard()
    pace = Pace(observer=heard)
    version = server_version(organisation.server) if organisation.server else NEWEST
    async with client_of(organisation, lambda *_: pace) as client:
        connection = Connection(organisation.url, credential_of(organisation), pace=pace, version=version)
        try:
            yield Ground(organisation, client, connection, heard, await _items(client))
        finally:
            await connection.close()


async def _items(client: AzureDevOps) -> Sequence[WorkItem]:
    for days in DAYS:
        wiql = RECENT.format(days=days)
        try:
            ids = await client.work_items.query(wiql, top=ITEMS_MAX)
        except TooManyResults:
            continue
        return await client.work_items.batch(ids[:ITEMS_MAX])
    return ()


def nothing_to_ask(what: str) -> Finding:
    return Finding(Status.SKIP, what)


async def sign_in(ground: Ground) -> Finding:
    """With a token that nobody has; it belongs to no account, so no account is locked."""
    version = server_version(ground.organisation.server) if ground.organisation.server else NEWEST
    async with AzureDevOps(ground.organisation.url, SecretStr("not-a-token"), version=version) as stranger:
        try:
            await stranger.projects.all()
        except NotSignedIn as error:
            how = "with a sign-in page" if error.code == "SignInRequired" else f"with an error ({error.code})"
            return ok(f"a wrong token is refused {how}")
    return warn("projects can be listed without an account: the organisation has public ones", TOLD)


async def revision_test(ground: Ground) -> Finding:
    for item in ground.items[:1]:
        change = [at_rev(item.rev + 1_000), set_field("System.Title", item.fields.get("System.Title"))]
        try:
            await ground.client.work_items.patch(item.id, change, validate_only=True)
        except Conflict as error:
            return ok(f"a write that tests a wrong revision is a conflict ({error.code})")
        return warn("a wrong revision was not noticed while validating: a lost update would be noticed late", TOLD)
    return nothing_to_ask("no item changed lately")


async def transitions(ground: Ground) -> Finding:
    """Of the first item that has a state which it may not go to."""
    for item in ground.items:
        project, kind, state = (str(item.fields.get(f"System.{key}", "")) for key in _KIND)
        known = await ground.client.types.get(project, kind)
        allowed = {step.to for step in known.transitions.get(state, ())} | {state}
        other = next((one.name for one in known.states if one.name not in allowed), "")
        if not known.transitions:
            return warn(f"type {kind} of {project} tells no transitions: built-in ones will be used", TOLD)
        if other:
            step = f"{state} -> {other} of {kind}"
            try:
                await ground.client.work_items.patch(item.id, [set_field("System.State", other)], validate_only=True)
            except Rejected as error:
                return ok(f"{step} is not among the transitions, and is refused ({error.code})")
            return warn(f"{step} is not among the transitions, and is accepted all the same", TOLD)
    return nothing_to_ask("no item that changed lately has a state that it may not go to")


async def required_fields(ground: Ground) -> Finding:
    for item in ground.items:
        if item.fields.get("System.AssignedTo"):
            kind, state = (item.fields.get(f"System.{key}") for key in ("WorkItemType", "State"))
            try:
                await ground.client.work_items.patch(item.id, [set_field("System.AssignedTo", "")], validate_only=True)
            except Rejected as error:
                return ok(f"'Assigned to' is required for {kind} in state {state} ({error.code})")
            return ok(f"'Assigned to' is not required for {kind} in state {state}")
    return nothing_to_ask("no item that changed lately is assigned to anybody")


async def tags_merge(ground: Ground) -> Finding:
    """Adds the tag of another item, so that no tag comes into being."""
    tagged = {item.id: _tags(item) for item in ground.items if _tags(item)}
    for item_id, own in tagged.items():
        foreign = next((tag for tags in tagged.values() for tag in tags - own), "")
        if foreign:
            found = await ground.client.work_items.patch(item_id, [add_tags([foreign])], validate_only=True)
            if _tags(found) == own:
                return nothing_to_ask("a validated change is answered with the item as it stands, not as it would be")
            if _tags(found) >= own | {foreign}:
                return ok("adding a tag keeps those that stand")
            told = "; ".join(sorted(_tags(found)))
            return warn(f"adding {foreign!r} to {'; '.join(sorted(own))!r} would leave {told!r}", TOLD)
    return nothing_to_ask("no two items that changed lately have different tags")


async def rev_of_links(ground: Ground) -> Finding:
    for item in ground.items:
        if item.relations:
            before = 0
            for update in await ground.client.work_items.updates(item.id):
                if (update.relations.added or update.relations.removed) and not update.fields and before:
                    moved = "moved" if update.rev > before else "stood still"
                    return ok(f"the revision of item {item.id} {moved} when only its links changed")
                before = update.rev
    return nothing_to_ask("no item that changed lately had only its links changed")


async def wiql_top(ground: Ground) -> Finding:
    """Asked for one id of all."""
    newest = "SELECT [System.Id] FROM WorkItems ORDER BY [System.Id] DESC"
    try:
        ids = await ground.client.work_items.query(newest, top=1)
    except TooManyResults as error:
        return ok(f"$top does not keep a query below the limit ({error.code})")
    if not ids or ids[0] < RESULTS_MAX:
        return nothing_to_ask(f"fewer than {RESULTS_MAX:,} items: the limit cannot be reached")
    return ok("$top keeps a query below the limit, as far as this organisation has so many items that one may see")


async def last_batch(ground: Ground) -> Finding:
    since = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    batch = await ground.connection.call(RevisionBatch, "GET", REVISIONS, query={"startDateTime": since})
    if not batch.is_last_batch:
        return nothing_to_ask("more than one batch of revisions in a minute")
    places = {"itself": batch.continuation_token, "nextLink": batch.next_link}
    named = [place for place, value in places.items() if value]
    if not named:
        return warn("the last batch of a stream tells no watermark: the last one heard is kept", TOLD)
    return ok(f"the last batch of a stream tells its watermark in {' and '.join(named)}")


async def hosts(ground: Ground) -> Finding:
    told = []
    for host in Host:
        try:
            await ground.connection.call(
                ConnectionData, "GET", "_apis/connectionData", version="7.1-preview.1", host=host
            )
            told.append(f"{host or 'main'} answers")
        except (Rejected, Unavailable) as error:
            told.append(f"{host} does not ({getattr(error, 'code', '') or type(error).__name__})")
    return ok(", ".join(told))


async def missing_item(ground: Ground) -> Finding:
    told = []
    for where in ("workitems", "recyclebin"):
        try:
            await ground.connection.call(Nothing, "GET", f"_apis/wit/{where}/{NOBODY}")
        except Missing as error:
            told.append(f"{where}: {error.code}")
        except Rejected as error:
            return warn(f"an item that does not exist is refused in {where} as {error.code}, not as missing", TOLD)
    return ok(f"an item that does not exist is told so ({', '.join(told)})")


async def subscriptions(ground: Ground) -> Finding:
    found = await ground.client.hooks.list("workitem.updated")
    if not found:
        return nothing_to_ask("no subscription to workitem.updated that this account may see")
    versions = sorted({one.resource_version for one in found})
    lost = sorted({one.status for one in found} - {"enabled", ""})
    told = f"{how_many(len(found), 'subscription')} to workitem.updated, resource version {', '.join(versions)}"
    if lost:
        return warn(f"{told}; not all are enabled: {', '.join(lost)}", "pointsman hooks list")
    return ok(told)


async def process_rules(ground: Ground) -> Finding:
    """Of the process that the first item's project has; a server whose processes are XML has none."""
    for item in ground.items[:1]:
        name = await ground.client.projects.process_name(str(item.fields.get("System.TeamProject", "")))
        process = await ground.client.processes.named(name)
        kinds = await ground.client.processes.types(process.id)
        wanted = next((one for one in kinds if one.name == item.fields.get("System.WorkItemType")), kinds[0])
        rules = await ground.client.processes.rules(process.id, wanted.reference_name)
        spelt = sorted({condition.condition_type for rule in rules for condition in rule.conditions})
        told = f"process {name} is {process.type or 'of no told origin'}, its type {wanted.name} has "
        told += how_many(len(rules), "rule")
        return ok(f"{told}, with conditions {', '.join(spelt) or 'of no kind'}")
    return nothing_to_ask("no item changed lately")


async def identity_shape(ground: Ground) -> Finding:
    """Ourselves, by the id that the organisation knows us by."""
    who = (await ground.client.connection_data()).authenticated_user
    query = {"identityIds": who.id}
    raw = await ground.connection.call(Raw, "GET", "_apis/identities", query=query, host=Host.GRAPH)
    shapes = {type(one.get("descriptor")).__name__ for one in raw.value if one}
    if not shapes:
        return warn(f"the organisation knows nobody by our own id {who.id}", TOLD)
    return ok(f"descriptors of identities come as {', '.join(sorted(shapes))}")


async def audit_log(ground: Ground) -> Finding:
    """Of the last hour, one entry."""
    until = datetime.now(UTC)
    try:
        async for batch in ground.client.audit.batches(until - timedelta(hours=1), until, batch_max=1):
            return ok(f"the audit log can be read; {'something' if batch.entries else 'nothing'} in its last hour")
    except Missing:
        return nothing_to_ask("there is no audit log: a server of one's own, or auditing is not there")
    except Rejected as error:
        return nothing_to_ask(f"the audit log may not be read by this account ({error.code})")
    return nothing_to_ask("the audit log told nothing")


async def project_state(ground: Ground) -> Finding:
    """As it is told beside repositories."""
    for item in ground.items[:1]:
        path = f"{segment(str(item.fields.get('System.TeamProject', '')))}/_apis/git/repositories"
        raw = await ground.connection.call(Raw, "GET", path)
        projects = [one.get("project") for one in raw.value if one]
        states = {type(one.get("state")).__name__ for one in projects if isinstance(one, dict)}
        return ok(f"states of projects beside repositories come as {', '.join(sorted(states)) or 'nothing'}")
    return nothing_to_ask("no item changed lately")


async def throttling(ground: Ground) -> Finding:
    """Last, because it tells of all the others."""
    heard = ground.heard
    left = f"{heard.left[-1]:.0f} left of its allowance" if heard.left else "nothing said of its allowance"
    told = f"{how_many(heard.answers, 'answer')}, {left}"
    if heard.pauses:
        return warn(f"{told}; {', '.join(heard.pauses)}", "docs/runbooks.md, Rate limited")
    return ok(f"{told}, no pause asked for")


QUESTIONS = (
    Question("sign_in", "refused credentials must not look like an answer", sign_in),
    Question("revision_test", "it keeps two writers from undoing each other", revision_test),
    Question("transitions", "a state is only proposed along them", transitions),
    Question("required_fields", "a write without them becomes a question to a human", required_fields),
    Question("tags_merge", "a tag must not drop another", tags_merge),
    Question("rev_of_links", "a revision does not name a change of links", rev_of_links),
    Question("wiql_top", "big queries are asked in slices", wiql_top),
    Question("last_batch", "recovery goes on from the watermark", last_batch),
    Question("hosts", "graph and audit are beside the main host", hosts),
    Question("missing_item", "what may not be seen is not deleted", missing_item),
    Question("subscriptions", "deliveries come by them, in the shape of their version", subscriptions),
    Question("process_rules", "rules of a process are read before items are checked", process_rules),
    Question("identity_shape", "people are found by id and name", identity_shape),
    Question("audit_log", "only it tells of changes of policies and rights", audit_log),
    Question("project_state", "a list of repositories must be readable", project_state),
    Question("throttling", "a pause holds for all of the account's calls", throttling),
)

_KIND = ("TeamProject", "WorkItemType", "State")


def _tags(item: WorkItem) -> set[str]:
    told = str(item.fields.get("System.Tags") or "")
    return {tag.strip() for tag in told.split(";") if tag.strip()}


async def answered(
    settings: Settings, note: Callable[[str, str, Finding], None], questions: Sequence[Question] = QUESTIONS
) -> None:
    """Ask each organisation everything, one after the other. `note` gets the name, the reason and what was found.

    Raises:
        Misconfigured: a credential is missing.
    """
    for organisation in tracker_accounts(settings):
        try:
            async with ground_of(organisation) as ground:
                for question in questions:
                    note(f"{organisation.name}/{question.id}", question.why, await _found(question, ground))
        except (Rejected, Unavailable) as error:
            note(
                f"{organisation.name}/reading", "every question needs it", fail(str(error), "pointsman config explain")
            )


async def _found(question: Question, ground: Ground) -> Finding:
    try:
        return await question.ask(ground)
    except (Rejected, Unavailable) as error:
        return warn(f"cannot be told: {error}", TOLD)
