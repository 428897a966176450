"""Budgets in the store: one set of books for all processes that share the database, and for those who come after.

A reservation is a row before the call and a settlement after it, each in a short transaction that calls of the same
moment share. Whoever is killed in between leaves a row that expires: then all that it held counts as spent. No call
waits for the disk: when a machine loses power, what was written in its last second may be lost.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import chain
from typing import NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from pointsman.domain.texts import clean
from pointsman.llm.budgets import (
    RESERVATION_LIFE,
    Applying,
    Budget,
    BudgetUse,
    Claim,
    Reservation,
    Spending,
    applying,
    check,
    uses_of,
)
from pointsman.llm.errors import BooksUnavailableError, BudgetExceededError
from pointsman.llm.types import TokenUsage
from pointsman.ports import Unavailable
from pointsman.store import llm_booking, llm_ledger
from pointsman.store.columns import utc_now
from pointsman.store.engine import Store
from pointsman.store.ids import new_id
from pointsman.store.llm_booking import NO_LIMIT, Limit
from pointsman.store.llm_ledger import Account, Entry, Settlement, nano_usd, usd
from pointsman.store.llm_retention import LlmRetention

LOG = logging.getLogger(__name__)
EXPIRE_EVERY, FORGET_EVERY = timedelta(seconds=30), timedelta(days=1)
ACCOUNTS_KNOWN_MAX = 10_000
ACTOR = "model service"
"""Who forgets, in the audit log."""
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class _Asked(NamedTuple):
    entry: Entry
    limits: Applying
    most: Sequence[tuple[Account, Limit]]
    """The lowest of the hard limits of each account that has any."""


class StoreBudgets:
    """`llm.budgets.Budgets` over the store. `life` is how long a call may take before its reservation expires,
    `days` how long its row is kept; for ever unless they are given."""

    def __init__(
        self,
        store: Store,
        budgets: Sequence[Budget] = (),
        now: Callable[[], datetime] = utc_now,
        life: timedelta = RESERVATION_LIFE,
        days: int | None = None,
    ) -> None:
        self._store = store
        self._budgets = tuple(budgets)
        self._now = now
        self._life = life
        self._days = days
        self._retention = LlmRetention(store, ACTOR, now)
        self._expired_at = self._forgot_at = _LONG_AGO
        self._orphans: set[asyncio.Task[None]] = set()
        self._known: dict[Account, tuple[tuple[Budget, ...], Limit]] = {}
        """What applies to accounts: budgets do not change while they are held here."""

    async def reserve(self, claim: Claim) -> Reservation:
        """As the protocol says.

        Raises:
            BudgetExceededError: a hard limit would be passed.
            BooksUnavailableError: the database cannot now.
        """
        claim, now = _kept(claim), self._now()
        entry = Entry(new_id(), now, now + self._life, claim)
        try:
            if now - self._expired_at >= EXPIRE_EVERY:
                await self.expire()
            written = asyncio.ensure_future(self._store.write_each(_keep, self._asked(entry), is_quick=True))
            answer = await self._answered(written, entry)
        except (Unavailable, IntegrityError) as error:  # a row that is there already: its commit was not heard of
            raise BooksUnavailableError(
                f"what this call may cost could not be written down: {error} Nothing was sent.",
                provider=claim.provider,
                model=claim.model,
            ) from error
        if isinstance(answer, BudgetExceededError):
            raise answer
        assert answer is not None, "a claim is answered"
        return Reservation(id=entry.id, claim=claim, notes=answer.notes, uses=answer.uses)

    async def settle(
        self, reservation: Reservation, usage: TokenUsage | None, cost_usd: Decimal | None, outcome: str = ""
    ) -> None:
        """As the protocol says. Where the database cannot now, the answer is not lost with it: that is logged, and
        the reservation expires as spent."""
        end = Settlement(reservation.id, self._now(), usage or TokenUsage(), cost_usd or Decimal(0), clean(outcome))
        try:
            await self._store.write_each(_keep, end, is_quick=True)
        except Unavailable as error:
            LOG.error("reservation %s of a model call is not settled and will expire as spent: %s", end.id, error)

    async def expire(self) -> int:
        """Count as spent what nobody settled in time; returns how many reservations that were."""
        expired, now = 0, self._now()
        while some := await self._store.write_each(_expire, now, is_quick=True):
            expired += some
        self._expired_at = now
        if self._days is not None and now - self._forgot_at >= FORGET_EVERY:
            self._forgot_at = now
            self._aside(self._forget(self._days))
        if expired:
            LOG.warning("%d reservations of model calls were not settled in time and count as spent", expired)
        return expired

    def _asked(self, entry: Entry) -> "_Asked":
        if len(self._known) > ACCOUNTS_KNOWN_MAX:
            self._known.clear()
        accounts = entry.claim.accounts
        for account in accounts:
            if account not in self._known:
                budgets = applying(self._budgets, account)
                self._known[account] = budgets, llm_booking.limit_of(budgets)
        known = [(account, *self._known[account]) for account in accounts]
        limits = [(account, budgets) for account, budgets, _ in known]
        return _Asked(entry, limits, [(account, most) for account, _, most in known if most != NO_LIMIT])

    async def _answered(self, written: "asyncio.Future[_Answer | None]", entry: Entry) -> "_Answer | None":
        """What the database said. A caller who leaves meanwhile has sent nothing: the row is settled at nothing."""
        try:
            return await asyncio.shield(written)
        except asyncio.CancelledError:
            self._aside(self._given_back(written, entry))
            raise

    def _aside(self, work: Coroutine[None, None, None]) -> None:
        """Do what no call waits for."""
        task = asyncio.ensure_future(work)
        self._orphans.add(task)
        task.add_done_callback(self._orphans.discard)

    async def _forget(self, days: int) -> None:
        try:
            if gone := await self._retention.forget_attempts(days):
                LOG.info("%d attempts at models went from the ledger, which keeps them for %d days", gone, days)
        except Unavailable as error:
            LOG.warning("old attempts at models stay in the ledger until tomorrow: %s", error)

    async def _given_back(self, written: "asyncio.Future[_Answer | None]", entry: Entry) -> None:
        await asyncio.wait([written])
        if written.exception() is None and not isinstance(written.result(), BudgetExceededError):
            await self.settle(Reservation(id=entry.id, claim=entry.claim), None, None, "cancelled")


class _Granted(NamedTuple):
    notes: tuple[str, ...]
    uses: tuple[BudgetUse, ...]


_Answer = _Granted | BudgetExceededError
"""What a reservation says, or why there is none. An error that is raised would make the others in its transaction
begin again."""


def _kept(claim: Claim) -> Claim:
    """The claim as the books hold it: text clean, each account once, money in whole billionths."""
    accounts = tuple(dict.fromkeys((scope, clean(account)) for scope, account in claim.accounts))
    changes = {
        "accounts": accounts,
        "tokens": min(claim.tokens, llm_ledger.TOKENS_MAX),
        "cost_usd": usd(nano_usd(claim.cost_usd)),
        "trace_id": clean(claim.trace_id),
        "source_agent": clean(claim.source_agent),
        "model": clean(claim.model),
    }
    return claim.model_copy(update=changes)


def _keep(connection: Connection, jobs: Sequence[_Asked | Settlement]) -> list[_Answer | None]:
    """Settle, hold all claims, which locks their accounts; look, one after another; give back what must not be held.

    Claims and settlements are of one work so that they share transactions: those of one tenant change one row.
    """
    asked = [job for job in jobs if isinstance(job, _Asked)]
    entries = [one.entry for one in asked]
    now = max(job.entry.at if isinstance(job, _Asked) else job.at for job in jobs)
    ends = [job for job in jobs if isinstance(job, Settlement)]
    most: dict[Account, Limit] = {}
    for account, limit in chain.from_iterable(one.most for one in asked):
        known = most.setdefault(account, limit)
        if known != limit:
            most[account] = llm_booking.lowest(known, limit)
    wanted = {account for one in asked for account, budgets in one.limits if budgets}
    standing = llm_booking.book(connection, ends, entries, most, wanted, now)
    answers = {one.entry.id: _answer(one, standing) for one in asked}
    refused = [entry for entry in entries if not isinstance(answers[entry.id], _Granted)]
    llm_booking.give_back(connection, refused, now)
    return [answers[job.entry.id] if isinstance(job, _Asked) else None for job in jobs]


def _answer(asked: _Asked, standing: dict[Account, Spending]) -> _Answer:
    claim = asked.entry.claim
    try:
        notes = check(asked.limits, claim, standing)
    except BudgetExceededError as error:
        return error
    uses = uses_of(asked.limits, claim, standing)
    for account, budgets in asked.limits:
        if budgets:
            standing[account].hold(claim.tokens, claim.cost_usd)
    return _Granted(notes, uses)


def _expire(connection: Connection, moments: Sequence[datetime]) -> list[int]:
    return [llm_ledger.expire(connection, moment) for moment in moments]
