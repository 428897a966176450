"""The arrows of the design: each contract of import-linter is seen to break, and what it cannot see is checked here."""

import ast
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.gates import sources
from tests.gates.sources import Source, everything, imported, product

CONFIG = tomllib.loads((sources.ROOT / "pyproject.toml").read_text())
CONTRACTS: list[dict[str, Any]] = CONFIG["tool"]["importlinter"]["contracts"]  # Any: what TOML gives
ROOMS = sorted(
    f"pointsman.{path.stem}"
    for path in (sources.ROOT / "pointsman").iterdir()
    if (path.suffix == ".py" or (path / "__init__.py").exists()) and path.stem != "__init__"
)
# One import for each contract that it must not bear: (importing module, imported module).
VIOLATIONS = {
    "Nothing imports an entrance": ("pointsman.observability", "starter"),
    "Workflows are named by entrances and workers only": ("activities", "workflows"),
    "What activities use does not know them": ("pointsman.observability", "activities"),
    "Workflows order: they see activities, contracts and domain": ("workflows", "pointsman.ports"),
    "Activities speak to ports: no client, no store, no settings": ("activities", "pointsman.store"),
    "Domain knows contracts only": ("pointsman.domain", "pointsman.ports"),
    "Contracts know nobody": ("pointsman.contracts", "pointsman.domain"),
    "Ports know contracts only": ("pointsman.ports", "pointsman.llm"),
    "The model service knows neither store nor Temporal": ("pointsman.llm", "temporalio"),
    "Clients know ports, and no other side of the house": ("pointsman.clients", "pointsman.store"),
    "The store knows ports, and no other side of the house": ("pointsman.store", "pointsman.clients"),
    "The store keeps the books of the model service, and knows nothing else of it": (
        "pointsman.store",
        "pointsman.llm",
    ),
    "Policies know contracts and domain": ("pointsman.policies", "pointsman.ports"),
    "Observability knows contracts and ports": ("pointsman.observability", "pointsman.domain"),
    "The sandbox is the outside world: of ours it knows contracts": ("pointsman.sandbox", "pointsman.ports"),
    "No part of the product leans on the stand-ins": ("pointsman.temporal", "pointsman.sandbox"),
    "Settings are read by entrances and by the composition root": ("pointsman.temporal", "pointsman.config"),
    "Temporal's set-up knows contracts only": ("pointsman.temporal", "pointsman.observability"),
}


# Forks for each folder that it is told: loading the linter costs more than a look at a skeleton.
LINTER = """
import os, sys
from importlinter.cli import lint_imports
for folder in map(str.strip, sys.stdin):
    child = os.fork()
    if not child:
        os.chdir(folder)
        sys.path.insert(0, folder)
        try:
            lint_imports(no_cache=True)
        finally:
            sys.stdout.flush()
            os._exit(0)
    os.waitpid(child, 0)
    print("END", flush=True)
"""


@pytest.fixture(scope="module")
def linter() -> Iterator[subprocess.Popen[str]]:
    """import-linter, loaded."""
    command, both = [sys.executable, "-I", "-c", LINTER], subprocess.STDOUT
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=both, text=True, env={"COLUMNS": "200"}) as process:
        yield process
        assert process.stdin
        process.stdin.close()


def broken_contracts(folder: Path, linter: subprocess.Popen[str]) -> set[str]:
    """Names of the contracts that import-linter finds broken in `folder`."""
    assert linter.stdin
    assert linter.stdout
    print(folder, file=linter.stdin, flush=True)
    lines = [line.strip() for line in iter(linter.stdout.readline, "END\n") if line or pytest.fail("it ended")]
    if not any(line.startswith("Contracts:") for line in lines):
        pytest.fail(f"import-linter did not run: {lines}")
    return {line.removesuffix(" BROKEN") for line in lines if line.endswith(" BROKEN")}


@pytest.fixture(scope="module")
def skeleton(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every package of the product with nothing in it: an import that is planted there is the only one."""
    folder = tmp_path_factory.mktemp("skeleton")
    shutil.copy(sources.ROOT / "pyproject.toml", folder)
    for name in ("activities", "starter", "workflows", "pointsman", *ROOMS, *_named_rooms()):
        package = folder.joinpath(*name.split("."))
        package.mkdir(exist_ok=True)
        (package / "__init__.py").touch()
    return folder


def _named_rooms() -> set[str]:
    named = {
        module for contract in CONTRACTS for key in ("source_modules", "forbidden_modules") for module in contract[key]
    }
    return {module for module in named if module.startswith("pointsman.")}


def test_contracts_hold_on_the_bare_skeleton(skeleton: Path, linter: subprocess.Popen[str]) -> None:
    assert broken_contracts(skeleton, linter) == set()


def test_each_contract_has_its_planted_violation() -> None:
    assert set(VIOLATIONS) == {contract["name"] for contract in CONTRACTS}


@pytest.mark.parametrize("contract", VIOLATIONS)
def test_planted_violation_breaks_its_contract(
    contract: str, skeleton: Path, linter: subprocess.Popen[str], tmp_path: Path
) -> None:
    importer, target = VIOLATIONS[contract]
    copy = tmp_path / "copy"
    shutil.copytree(skeleton, copy)
    (copy.joinpath(*importer.split(".")) / "planted.py").write_text(f"import {target}\n")
    broken = broken_contracts(copy, linter)
    assert contract in broken
    forbidding = {
        other["name"]
        for other in CONTRACTS
        if any(_within(importer, module) for module in other["source_modules"])
        and any(_within(target, module) for module in other["forbidden_modules"])
    }
    assert broken == forbidding, "a contract breaks by an import that it does not speak of"


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: str(contract["name"]))
def test_no_contract_is_empty(contract: dict[str, Any]) -> None:  # Any: what TOML gives
    assert contract["source_modules"]
    assert contract["forbidden_modules"]


def test_every_room_is_a_source_of_some_contract_and_known_to_the_others() -> None:
    known = {module for contract in CONTRACTS for module in contract["source_modules"] + contract["forbidden_modules"]}
    assert set(ROOMS) <= known, "a room that no contract names may import what it likes"


# What import-linter cannot see


def violations(places: Iterable[Source], allowed: frozenset[str], *modules: str) -> list[str]:
    """Imports of `modules` in files that are not in `allowed`."""
    return [
        f"{source.path}:{line}: imports {name}"
        for source in places
        if not any(str(source.path).startswith(place) for place in allowed)
        for name, line in imported(source.tree)
        if any(_within(name, module) for module in modules)
    ]


def test_nothing_imports_the_composition_root() -> None:
    assert violations(everything(), frozenset({"tests/test_worker.py"}), "worker") == []


def test_only_the_tables_import_sqlmodel() -> None:
    assert violations(product(), frozenset({"pointsman/store/tables/"}), "sqlmodel") == []


def test_only_the_store_and_the_entrances_that_open_it_speak_to_a_database() -> None:
    places = frozenset({"pointsman/store/", "starter/", "worker.py"})
    assert violations(product(), places, "sqlalchemy", "psycopg", "alembic", "sqlite3") == []


def test_only_entrances_and_the_root_read_settings() -> None:
    assert violations(product(), frozenset({"starter/", "worker.py", "pointsman/config/"}), "pointsman.config") == []


# Modules through which the outside world, the clock or chance would come into a rule.
IMPURE = (
    *("aiohttp", "asyncio", "concurrent", "ftplib", "glob", "http", "httpx2", "io", "logging", "multiprocessing", "os"),
    *("pathlib", "platform", "random", "requests", "secrets", "select", "shutil", "signal", "socket", "sqlite3", "ssl"),
    *("structlog", "subprocess", "sys", "tempfile", "temporalio", "threading", "time", "urllib.request"),
)
IMPURE_CALLS = frozenset(
    {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "uuid.uuid1", "uuid.uuid4", "uuid1", "uuid4"}
    | {"open", "print", "input"}
)


def impurities(source: Source) -> list[str]:
    """What would make a rule's answer depend on more than its arguments."""
    imports = [name for name, _ in imported(source.tree) if any(_within(name, module) for module in IMPURE)]
    calls = [ast.unparse(node.func) for node in ast.walk(source.tree) if isinstance(node, ast.Call)]
    return imports + [call for call in calls if call in IMPURE_CALLS or call.startswith(("datetime.datetime.now",))]


@pytest.mark.parametrize("room", ["pointsman/domain/", "pointsman/contracts/"])
def test_rules_are_pure(room: str) -> None:
    found = {str(source.path): impurities(source) for source in product() if str(source.path).startswith(room)}
    assert found, f"{room} holds nothing"
    assert {path: faults for path, faults in found.items() if faults} == {}


@pytest.mark.parametrize(
    "text",
    ["import os", "from time import time", "x = datetime.now()", "from uuid import uuid4\nx = uuid4()", "open('x')"],
)
def test_planted_impurity_is_caught(text: str) -> None:
    assert impurities(Source(Path("sample.py"), text, ast.parse(text)))


def test_workflows_package_is_empty_at_its_root() -> None:
    assert (sources.ROOT / "workflows/__init__.py").read_text() == "", "it would run again for every workflow run"


@pytest.mark.parametrize("package", ["activities", "pointsman", "starter", "workflows"])
def test_our_packages_are_the_ones_that_are_imported(package: str) -> None:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin == str(sources.ROOT / package / "__init__.py")


def test_no_dependency_installs_a_package_of_our_names() -> None:
    ours = {"activities", "pointsman", "starter", "tests", "worker", "workflows"}
    clashes = [
        f"{distribution.name} installs {file}"
        for distribution in distributions()
        if distribution.name != "pointsman"
        for file in distribution.files or ()
        if file.parts[0].removesuffix(".py") in ours
    ]
    assert clashes == []


def test_wheel_holds_every_room_and_nothing_else() -> None:
    assert CONFIG["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"] == [
        "workflows",
        "activities",
        "starter",
        "pointsman",
        "worker.py",
    ]
