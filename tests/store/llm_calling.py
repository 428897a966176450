"""A process of its own for `test_llm_budgets.py`: spends what it is let, and is killed with reservations in hand.

`python -m tests.store.llm_calling DATABASE_URL USER` says `ready`, waits for a line, and says how many of its calls
were let through and how many reservations it holds. Then it waits to be killed.
"""

import asyncio
import sys
from decimal import Decimal

from pointsman.llm.budgets import Budget, Scope
from pointsman.llm.errors import BudgetExceededError
from pointsman.store.engine import Store
from pointsman.store.llm_budgets import StoreBudgets
from tests.store.llm_books import claim, used

CALLS, TOKENS = 60, 10


async def main(url: str, user: str) -> None:
    async with Store.open(url) as store:
        kept = StoreBudgets(store, [Budget(scope=Scope.USER, tokens=1_000)])

        async def call() -> bool:
            try:
                held = await kept.reserve(claim(TOKENS, "0.001", (Scope.USER, user)))
            except BudgetExceededError:
                return False
            await kept.settle(held, used(TOKENS), Decimal("0.001"), "success")
            return True

        async def hold() -> bool:
            try:
                await kept.reserve(claim(TOKENS, "0.001", (Scope.USER, user)))
            except BudgetExceededError:
                return False
            return True

        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        print(sum(await asyncio.gather(*(call() for _ in range(CALLS)))), flush=True)
        print(sum(await asyncio.gather(*(hold() for _ in range(100)))), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
