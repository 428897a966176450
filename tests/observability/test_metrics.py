"""Metrics: all under our names, each with its help, and Temporal Core's beside them."""

import re

from aiohttp import web

from pointsman.observability import metrics, names
from pointsman.observability.metrics import Metrics


def told(measured: Metrics, name: str) -> float | None:
    """Value of a sample that has no labels."""
    return measured.registry.get_sample_value(name)


def test_two_sets_of_metrics_do_not_share_a_registry() -> None:
    one, other = Metrics(), Metrics()
    one.ack_seconds.observe(0.2)
    assert told(one, f"{names.ACK_SECONDS}_count") == 1
    assert told(other, f"{names.ACK_SECONDS}_count") == 0


def test_every_name_of_a_metric_is_exposed_with_help_and_unit() -> None:
    text = Metrics().exposition().decode()
    wanted = {value for key, value in vars(names).items() if isinstance(value, str) and value.startswith(names.PREFIX)}
    exposed = {name.removesuffix("_total") for name in re.findall(r"^# HELP (\S+) \S", text, re.MULTILINE)}
    assert wanted - {names.PREFIX} == exposed - {name for name in exposed if name.endswith("_created")}


def test_ids_never_become_labels() -> None:
    labels = {value for key, value in vars(names).items() if key.startswith("LABEL_")}
    assert not labels & {names.CORRELATION_ID, names.ITEM, names.DELIVERY_ID, names.WORKFLOW_ID, names.RUN_ID}


async def test_metrics_of_core_are_fetched_from_its_loopback_port() -> None:
    app = web.Application()

    async def serve(_: web.Request) -> web.Response:
        return web.Response(text="temporal_request 3\n")

    app.router.add_get("/metrics", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        assert await metrics.core_exposition(runner.addresses[0][1]) == b"temporal_request 3\n"
    finally:
        await runner.cleanup()


async def test_a_core_that_does_not_answer_leaves_a_comment(free_port: int) -> None:
    text = await metrics.core_exposition(free_port)
    assert text.startswith(f"# Temporal Core's metrics on port {free_port} cannot be read".encode())


async def test_core_is_not_asked_when_its_metrics_are_off() -> None:
    assert await metrics.core_exposition(0) == b""
    assert metrics.core_runtime(0) is None
