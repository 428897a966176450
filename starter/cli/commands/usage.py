"""`pointsman usage`: what models have used and cost, and what is left of budgets."""

from typing import Annotated

import typer

from starter.cli.call import Call, command

NAME = "usage"
EXAMPLES = (
    "pointsman usage --since 7d",
    "pointsman usage --by day,tenant --since 2026-11-01",
    "pointsman usage --by work_item --model gpt-6-luna --json",
    "pointsman usage --budgets",
)

Only = Annotated[str, typer.Option(help="Only of this one.", show_default=False)]
Since = Annotated[
    str, typer.Option(metavar="TIME", help="From then on: 2026-11-21, with a time, or 24h, 7d.", show_default=False)
]
Until = Annotated[str, typer.Option(metavar="TIME", help="Before then; written as --since.", show_default=False)]


def register(app: typer.Typer) -> None:
    command(app, NAME, *EXAMPLES)(usage)


def usage(
    call: Call,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            metavar="NAMES",
            help="day, tenant, user, session, work_item, budget, agent, provider, model: comma separated.",
        ),
    ] = None,
    since: Since = "",
    until: Until = "",
    tenant: Only = "",
    user: Only = "",
    session: Only = "",
    work_item: Only = "",
    budget: Only = "",
    agent: Only = "",
    provider: Only = "",
    model: Only = "",
    budgets: Annotated[bool, typer.Option("--budgets", help="Show budgets, and what is left of them.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="COUNT", min=1, max=10_000, help="At most so many, costliest first.")
    ] = 50,
) -> None:
    """Sum up what models have used and cost, from the ledger: by provider and model unless --by says otherwise.

    Each attempt counts, also one that failed, by what the provider billed for it. Held is what calls under way may
    cost at most. A call that was never heard of again counts with all that it held.

    In a pipe: what --by names, attempts, failed, prompt, completion, cached and total tokens, cost, held. With
    --budgets: scope, account, period, hard or soft, tokens, tokens left, USD, USD left, held tokens, held USD; a
    budget for everybody is told for at most COUNT accounts.
    """
    from pointsman.store.llm_usage import By
    from starter.cli import usage
    from starter.cli.settings import settings_of

    if budgets:
        call.show(call.run(usage.budgets(settings_of(call), limit)))
        return
    only = {
        By.TENANT: tenant,
        By.USER: user,
        By.SESSION: session,
        By.WORK_ITEM: work_item,
        By.BUDGET: budget,
        By.AGENT: agent,
        By.PROVIDER: provider,
        By.MODEL: model,
    }
    call.show(call.run(usage.sums(settings_of(call), by or ["provider,model"], since, until, only, limit)))
