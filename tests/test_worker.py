"""`python worker.py`, the composition root of a process that only works: it starts, polls, and ends when told to."""

import json
import subprocess
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest

from pointsman.temporal_server import DevServer
from starter.cli.errors import ExitCode
from starter.demo.outside import until
from starter.demo.processes import surroundings
from tests.gates.sources import ROOT
from tests.preloaded import Preloaded

pytestmark = pytest.mark.slow


@pytest.fixture
def environment(tmp_path: Path, dev_server: DevServer) -> dict[str, str]:
    return {
        **surroundings(),
        "POINTSMAN_CONFIG_FILE": "",
        "XDG_CONFIG_HOME": str(tmp_path),
        "POINTSMAN_DATA_DIR": str(tmp_path / "data"),
        "POINTSMAN_TEMPORAL_ADDRESS": dev_server.address,
        "POINTSMAN_TASK_QUEUE": f"worker-{tmp_path.name}",
        "POINTSMAN_AZURE_DEVOPS_TOKEN": "nobody-asks-for-it",
        "POINTSMAN_OPENAI_API_KEY": "nobody-asks-for-it",
    }


def started(preloaded: Preloaded, environment: dict[str, str]) -> "subprocess.Popen[str]":
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [preloaded.python, "worker.py"], cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True
    )


async def test_the_worker_polls_its_queue_until_it_is_told_to_end(
    environment: dict[str, str], dev_server: DevServer, preloaded: Preloaded
) -> None:
    client = await dev_server.connect()
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=environment["POINTSMAN_TASK_QUEUE"]),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
    )
    worker = started(preloaded, environment)

    async def polled() -> bool | None:
        assert worker.poll() is None, worker.communicate()
        return bool((await client.workflow_service.describe_task_queue(request)).pollers) or None

    try:
        await until("a poller", polled)
        worker.terminate()
        _, log = worker.communicate(timeout=60)
    finally:
        worker.kill()
    assert worker.returncode == ExitCode.OK, log
    events = [json.loads(line) for line in log.splitlines()]
    assert [one["part"] for one in events if one["event"] == "stopped"] == ["worker"]


def test_the_worker_without_a_token_says_which_setting_is_missing(
    environment: dict[str, str], preloaded: Preloaded
) -> None:
    del environment["POINTSMAN_AZURE_DEVOPS_TOKEN"]
    worker = started(preloaded, environment)
    out, err = worker.communicate(timeout=60)
    assert (worker.returncode, out) == (ExitCode.USAGE, "")
    assert err.startswith("error: POINTSMAN_AZURE_DEVOPS_TOKEN is not set")
    assert "Traceback" not in err
    assert not Path(environment["POINTSMAN_DATA_DIR"]).exists()
