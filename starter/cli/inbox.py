"""Deliveries on the command line: found, shown, put into the queue again."""

import json
from base64 import b64encode
from collections.abc import Sequence
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request

from pointsman.config import Settings, variable
from pointsman.contracts.records import Delivery, DeliveryState, Receipt
from pointsman.domain.events.reading import parse_bytes
from pointsman.domain.words import how_many
from pointsman.store.sqlite import StoreInUse
from starter.cli import items, records
from starter.cli.choices import must_exist
from starter.cli.context import opened, stored_in_sqlite, writing
from starter.cli.errors import CliError, ExitCode, not_found, usage
from starter.cli.output import Listing, Record, Single
from starter.cli.settings import local, own_url

ROWS_MAX = 10_000
ANSWER_SECONDS_MAX = 10.0
STATES = tuple(state.value for state in DeliveryState)


async def listed(settings: Settings, state: str, item: str, limit: int) -> Listing:
    must_exist("state", state, STATES, "pointsman inbox list --help")
    organisation, item_id = items.parse(item) if item else ("", 0)
    async with opened(settings) as books:
        found = await books.inbox.find(state, item_id, ROWS_MAX if organisation else limit)
    return records.deliveries([row for row in found if organisation in ("", row.organisation)][:limit])


async def found(settings: Settings, named: str) -> Delivery:
    """The delivery of this id, or the one whose id begins so."""
    async with opened(settings) as books:
        if row := await books.inbox.get(named):
            return row
        rows = [one for one in await books.inbox.find(limit=ROWS_MAX) if one.id.startswith(named)]
    if not rows:
        raise not_found(f"There is no delivery {named!r}.", "pointsman inbox list")
    if len(rows) > 1:
        raise usage(f"{how_many(len(rows), 'delivery')} begin with {named!r}.", "Name more of it: pointsman inbox list")
    return rows[0]


def shown(row: Delivery) -> Single:
    return records.delivery(row, concerns(row))


def concerns(row: Delivery) -> Record:
    """What the delivery tells, of what, and by whom: read from its body."""
    event = parse_bytes(row.body, row.organisation)
    return {
        "event": type(event).__name__,
        "subject": str(event.subject or ""),
        "repository": event.repository.name if event.repository else "",
        "by": event.actor.unique_name or event.actor.display_name,
    }


async def replay(settings: Settings, row: Delivery, by: str) -> Single:
    """Put a copy into the queue: by the service that holds the SQLite file, else straight in the database."""
    receipts: list[Receipt] = []
    await replay_all(settings, [row], by, receipts)
    (receipt,) = receipts
    return Single("replayed", {"delivery": receipt.id, "of": row.id, "by": by, "chain_id": receipt.chain_id})


async def replay_all(settings: Settings, rows: Sequence[Delivery], by: str, receipts: list[Receipt]) -> None:
    """Put a copy of each into the queue, in this order. `receipts` grows with each that is there, so that the caller
    knows of them when one fails."""
    for row in rows if stored_in_sqlite(settings) else ():
        if (receipt := _by_service(settings, row, by)) is None:
            break
        receipts.append(receipt)
    if len(receipts) < len(rows):
        try:
            async with writing(settings) as inbox:
                for row in rows[len(receipts) :]:
                    receipts.append(await inbox.replay(row.id, by))
        except StoreInUse as error:
            raise _not_asked(settings, error) from error


def _not_asked(settings: Settings, error: StoreInUse) -> Exception:
    """A service holds the file, and we could not ask it: without its secret, or at another address."""
    if settings.webhook_secrets:
        return error
    name = variable("webhook_secrets")
    return CliError(
        "no_secret",
        f"A service runs on this database, and takes a replay from whoever knows its secret: {name} is not set here. "
        "Nothing was put into the queue.",
        f"Set it as the service has it, or name a file that holds it: export {name}_FILE=PATH",
        ExitCode.UNAUTHORISED,
    )


def _by_service(settings: Settings, row: Delivery, by: str) -> Receipt | None:
    """Ask the running service; None when none answers, so that the file is free."""
    if not settings.webhook_secrets:
        return None
    secret = settings.webhook_secrets[0].get_secret_value()
    credentials = b64encode(f"{settings.webhook_user}:{secret}".encode()).decode()
    url = f"{own_url(settings)}/api/inbox/{quote(row.id, safe='')}/replay"
    request = Request(  # noqa: S310 - the address comes from our own settings, and is http
        url,
        data=json.dumps({"by": by}).encode(),
        headers={"Authorization": f"Basic {credentials}", "Content-Type": "application/json"},
        method="POST",
    )
    try:
        with local().open(request, timeout=ANSWER_SECONDS_MAX) as answer:
            return Receipt.model_validate_json(answer.read())
    except HTTPError as error:
        raise _refused(url, error) from error
    except URLError:
        return None


def _said(answer: str) -> tuple[str, str]:
    """What a service says of its refusal, and what it advises. Another than ours may say anything."""
    try:
        error = json.loads(answer)["error"]
        return str(error["message"]), str(error.get("hint", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return answer, ""


def _refused(url: str, error: HTTPError) -> CliError:
    codes = {401: ExitCode.UNAUTHORISED, 403: ExitCode.UNAUTHORISED, 404: ExitCode.NOT_FOUND, 409: ExitCode.CONFLICT}
    told, hint = _said(error.read(2_000).decode("utf-8", errors="replace").strip())
    same = "See whether service and command line have the same settings: pointsman config explain webhook_secrets"
    return CliError(
        "refused",
        f"{url} answered {error.code} {error.reason}: {told}. Nothing was put into the queue.",
        same if error.code in (401, 403) or not hint else hint,
        codes.get(error.code, ExitCode.FAILURE),
        retryable=error.code >= 500,
    )
