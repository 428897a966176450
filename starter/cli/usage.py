"""What models have used and cost, and what is left of budgets: from the ledger, read-only, on the command line."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from pointsman.config import Settings
from pointsman.llm.budgets import Budget, Spending
from pointsman.store.llm_usage import By, UsageBook, Used, Wanted
from starter.cli.context import policy, reading
from starter.cli.errors import usage
from starter.cli.output import Listing, Record
from starter.cli.times import moment
from starter.models import budgets_of

SUMS = (
    *("attempts", "failed", "prompt_tokens", "completion_tokens", "cached_tokens", "total_tokens"),
    *("cost_usd", "held_usd"),
)
BUDGETS = (
    *("scope", "account", "period", "kind", "tokens", "tokens_left", "cost_usd", "cost_usd_left", "held_tokens"),
    "held_usd",
)
EVERYBODY = "*"
"""As account of a budget for each account of its scope, where none has spent anything yet."""
HELP = "pointsman usage --help"


async def sums(
    settings: Settings, by: Sequence[str], since: str, until: str, only: Mapping[By, str], limit: int
) -> Listing:
    """Sums of the ledger by what is asked."""
    dimensions = _dimensions(by)
    now = datetime.now(UTC)
    wanted = Wanted(
        since=moment(since, "--since", now),
        until=moment(until, "--until", now),
        only=tuple((name, value) for name, value in only.items() if value),
    )
    async with reading(settings) as store:
        found = await UsageBook(store).sums(dimensions, wanted, limit)
    columns = (*(one.value for one in dimensions), *SUMS)
    return Listing("usage", columns, [_sum(dimensions, one) for one in found])


async def budgets(settings: Settings, limit: int) -> Listing:
    """Budgets of the policy, each for every account that it holds for, and what is left of them."""
    records: list[Record] = []
    async with reading(settings) as store:
        book = UsageBook(store)
        for budget in budgets_of(policy(settings).models):
            found = await book.accounts(budget.scope, limit, budget.account, budget.tenant)
            standing = [(name.removeprefix("/"), spent) for name, spent in found if budget.applies(budget.scope, name)]
            untouched = [(budget.told or EVERYBODY, Spending())]
            records += [_budget(budget, name, spent) for name, spent in standing or untouched]
    return Listing("budgets", BUDGETS, records)


def _dimensions(told: Sequence[str]) -> list[By]:
    names = [name.strip().replace("-", "_") for one in told for name in one.split(",") if name.strip()]
    for name in names:
        if name not in [one.value for one in By]:
            raise usage(f"--by {name!r}: there are {', '.join(one.value for one in By)}.", HELP)
    return [By(name) for name in dict.fromkeys(names)]


def _sum(by: Sequence[By], one: Used) -> Record:
    return {
        **{name.value: value for name, value in zip(by, one.by, strict=True)},
        "attempts": one.attempts,
        "failed": one.failed,
        "prompt_tokens": one.prompt_tokens,
        "completion_tokens": one.completion_tokens,
        "cached_tokens": one.cached_tokens,
        "total_tokens": one.total_tokens,
        "cost_usd": _money(one.cost_usd),
        "held_tokens": one.held_tokens,
        "held_usd": _money(one.held_usd),
    }


def _budget(budget: Budget, account: str, spending: Spending) -> Record:
    spent = spending.spent[budget.period]
    tokens_left = cost_left = None
    if budget.tokens is not None:
        tokens_left = budget.tokens - spent.tokens - spending.reserved_tokens
    if budget.cost_usd is not None:
        cost_left = _money(budget.cost_usd - spent.cost_usd - spending.reserved_usd)
    return {
        "scope": budget.scope.value,
        "account": account,
        "period": budget.period.value,
        "kind": "hard" if budget.hard else "soft",
        "tokens": budget.tokens,
        "tokens_spent": spent.tokens,
        "tokens_left": tokens_left,
        "cost_usd": None if budget.cost_usd is None else _money(budget.cost_usd),
        "cost_usd_spent": _money(spent.cost_usd),
        "cost_usd_left": cost_left,
        "held_tokens": spending.reserved_tokens,
        "held_usd": _money(spending.reserved_usd),
    }


def _money(amount: Decimal) -> str:
    """Every digit, and none of an exponent."""
    return f"{amount:f}"
