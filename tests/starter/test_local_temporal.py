"""A local Temporal server that ends is started again; one that ends again and again is left, and said so."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pointsman.temporal_server import DevServer, DevServerFailed
from starter.cli.local_temporal import STARTS_MAX, kept


class Sleeping(DevServer):
    """A process of its own that serves nothing, and is ready at once."""

    def command(self) -> list[str]:
        return ["sleep", "60"]

    async def _until_ready(self) -> None:
        return None


@asynccontextmanager
async def keeping(folder: Path, said: list[str]) -> AsyncGenerator[tuple[DevServer, "asyncio.Task[None]"]]:
    server = Sleeping(Path("sleep"), folder, ui=False)
    await server.start()
    task = asyncio.create_task(kept(server, said.append, look_seconds=0.005))
    try:
        yield server, task
    finally:
        task.cancel()
        await asyncio.wait([task])
        await server.stop()


async def killed(server: DevServer, task: "asyncio.Task[None]") -> None:
    """And come again, or given up."""
    before = server.pid
    server.kill()
    while server.pid == before and not task.done():  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.005)


async def test_a_server_that_was_killed_is_started_again_on_its_ports(tmp_path: Path) -> None:
    said: list[str] = []
    async with keeping(tmp_path, said) as (server, task):
        first, address = server.pid, server.address
        await killed(server, task)
        assert server.running
        assert (server.pid != first, server.address) == (True, address)
        assert f"process {first}) has ended" in said[0]


async def test_a_server_that_ends_again_and_again_is_left_with_its_log_named(tmp_path: Path) -> None:
    said: list[str] = []
    async with keeping(tmp_path, said) as (server, task):
        for _ in range(STARTS_MAX + 1):
            await killed(server, task)
        with pytest.raises(DevServerFailed, match=r"ended again, after 3 starts.*dev-server\.log"):
            await task
