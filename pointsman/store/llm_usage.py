"""What models have used and cost, from the ledger: sums by whom and by what, and how accounts stand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Integer, and_, case, cast, func, select

from pointsman.llm.budgets import OF_TENANTS, SUCCESS, Scope, Spending, account_of
from pointsman.store.columns import EPOCH, utc_now
from pointsman.store.engine import Store
from pointsman.store.llm_ledger import OPEN, spending, usd
from pointsman.store.tables import metadata

DAY_MICROSECONDS = timedelta(days=1) // timedelta(microseconds=1)
_LEDGER, _ACCOUNT = metadata.tables["llm_ledger"], metadata.tables["llm_account"]


class By(StrEnum):
    """What sums are told by. Days are those of the reservation, in UTC."""

    DAY = "day"
    TENANT = "tenant"
    USER = "user"
    SESSION = "session"
    WORK_ITEM = "work_item"
    BUDGET = "budget"
    AGENT = "agent"
    PROVIDER = "provider"
    MODEL = "model"


_COLUMNS = {
    By.TENANT: _LEDGER.c.tenant,
    By.USER: _LEDGER.c.user_id,
    By.SESSION: _LEDGER.c.session_id,
    By.WORK_ITEM: _LEDGER.c.work_item,
    By.BUDGET: _LEDGER.c.budget,
    By.AGENT: _LEDGER.c.source_agent,
    By.PROVIDER: _LEDGER.c.provider,
    By.MODEL: _LEDGER.c.model,
}


@dataclass(frozen=True)
class Wanted:
    """Which attempts count: those from `since` on and before `until`, and of these each that fits `only`."""

    since: datetime | None = None
    until: datetime | None = None
    only: tuple[tuple[By, str], ...] = ()


@dataclass(frozen=True)
class Used:
    """A sum. What is held is of calls under way; what nobody settled in time counts as used, whole."""

    by: tuple[str, ...]
    attempts: int
    failed: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    total_tokens: int
    cost_usd: Decimal
    held_tokens: int
    held_usd: Decimal


class UsageBook:
    """To be read: it changes nothing, so it may look on while a service runs."""

    def __init__(self, store: Store, now: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._now = now

    async def sums(self, by: Sequence[By], wanted: Wanted, limit: int) -> Sequence[Used]:
        """The newest day first, and of each day, or where days are not told, the costliest."""
        groups = [self._group(one).label(one.value) for one in by]
        counted = _counted(self._now())
        order = [group.desc() for one, group in zip(by, groups, strict=True) if one is By.DAY]
        query = select(*groups, *counted).group_by(*groups).limit(limit)
        query = query.order_by(*order, counted[-3].desc(), counted[0].desc(), *groups)
        for condition in self._conditions(wanted):
            query = query.where(condition)
        rows = await self._store.read(lambda session: session.execute(query).all())
        return [_used(by, tuple(row)) for row in rows if row[len(by)]]

    async def accounts(
        self, scope: Scope, limit: int, account: str = "", tenant: str = ""
    ) -> Sequence[tuple[str, Spending]]:
        """How the accounts of the scope stand, or those of the name, or of the tenant; the costliest first."""
        query = select(_ACCOUNT).where(_ACCOUNT.c.scope == scope.value).limit(limit)
        if tenant:
            query = query.where(_ACCOUNT.c.account.startswith(account_of(tenant, ""), autoescape=True))
        if account:
            named = _ACCOUNT.c.account == account
            of_tenant = _ACCOUNT.c.account.endswith(f"/{account}", autoescape=True)
            query = query.where(named | of_tenant if scope in OF_TENANTS else named)
        query = query.order_by(_ACCOUNT.c.nano_usd.desc(), _ACCOUNT.c.tokens.desc(), _ACCOUNT.c.account)
        rows = await self._store.read(lambda session: session.execute(query).all())
        today = self._now().date()
        return [(row[1], spending(row[2:], today)) for row in rows]

    def _group(self, by: By) -> ColumnElement[str] | ColumnElement[int]:
        if by is not By.DAY:
            return _COLUMNS[by]
        if self._store.dialect == "sqlite":
            return cast(_LEDGER.c.at, BigInteger) // DAY_MICROSECONDS
        return cast(func.floor(func.extract("epoch", _LEDGER.c.at) / 86_400), Integer)

    def _conditions(self, wanted: Wanted) -> list[ColumnElement[bool]]:
        conditions = [_COLUMNS[by] == value for by, value in wanted.only]
        if wanted.since is not None:
            conditions.append(_LEDGER.c.at >= wanted.since)
        if wanted.until is not None:
            conditions.append(_LEDGER.c.at < wanted.until)
        return conditions


def _counted(now: datetime) -> list[ColumnElement[int]]:
    """In the order of `Used`. What expired and has not been written down as such is counted as if it were."""
    ledger = _LEDGER.c
    is_lost = and_(ledger.state == OPEN, ledger.expires_at <= now)
    is_held = and_(ledger.state == OPEN, ledger.expires_at > now)
    has_failed = is_lost | and_(ledger.state != OPEN, ledger.outcome != SUCCESS)
    counted = (
        case((has_failed, 1), else_=0),
        ledger.prompt_tokens,
        ledger.completion_tokens,
        ledger.cached_tokens,
        case((is_lost, ledger.reserved_tokens), else_=ledger.total_tokens),
        case((is_lost, ledger.reserved_nano_usd), else_=ledger.nano_usd),
        case((is_held, ledger.reserved_tokens), else_=0),
        case((is_held, ledger.reserved_nano_usd), else_=0),
    )
    return [func.count(), *(func.coalesce(func.sum(one), 0) for one in counted)]


def _used(by: Sequence[By], row: tuple[Any, ...]) -> Used:  # Any: as many columns as are asked for
    groups, numbers = row[: len(by)], [int(number) for number in row[len(by) :]]
    attempts, failed, prompt, completion, cached, total, nano, held, held_nano = numbers
    return Used(
        by=tuple(_told(one, value) for one, value in zip(by, groups, strict=True)),
        attempts=attempts,
        failed=failed,
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=cached,
        total_tokens=total,
        cost_usd=usd(nano),
        held_tokens=held,
        held_usd=usd(held_nano),
    )


def _told(by: By, value: str | int) -> str:
    return date.fromordinal(EPOCH.toordinal() + int(value)).isoformat() if by is By.DAY else str(value)
