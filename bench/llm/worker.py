"""A process that is one contender: it reads what to measure, one JSON object a line, and answers each with one.

    python -m bench.llm.worker litellm

It stays for a whole run, so that contenders can be measured in turns without starting each of them again.
"""

import asyncio
import json
import sys
from typing import Any

from bench.llm import scenarios
from bench.llm.contenders import Contender, contender

WARM_UP = 5


class Worker:
    def __init__(self, name: str) -> None:
        self._kind = contender(name)
        self._made: dict[str, Contender] = {}

    async def measure(self, asked: dict[str, Any]) -> dict[str, Any]:
        """One measurement: `what`, `url`, `count`, and `in_flight` where that is asked for."""
        client, what, count = await self._client(asked["url"], asked["what"]), asked["what"], int(asked["count"])
        if what == "one_by_one":
            return await scenarios.one_by_one(client.call, count)
        if what == "at_once":
            return await scenarios.at_once(client.call, count, asked["in_flight"])
        if what == "streams":
            return await scenarios.streams(client.stream, count, asked["in_flight"])
        raise ValueError(f"no measurement {what!r}; there are one_by_one, at_once and streams")

    async def _client(self, url: str, what: str) -> Contender:
        if url not in self._made:
            made = self._made[url] = self._kind(url)
            if what == "streams":
                await scenarios.streams(made.stream, WARM_UP, 1)
            else:
                await scenarios.one_by_one(made.call, WARM_UP)
        return self._made[url]


async def main(name: str) -> None:
    worker, loop = Worker(name), asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        found = await worker.measure(json.loads(line))
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
