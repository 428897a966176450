"""Each dependency is explained, and what the product imports is locked for running it, not only for testing it."""

import re
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.gates import lock, sources

PROJECT = tomllib.loads((sources.ROOT / "pyproject.toml").read_text())
OURS = {"activities", "bench", "pointsman", "starter", "tests", "worker", "workflows"}


def direct(*groups: str) -> set[str]:
    listed = list(PROJECT["project"]["dependencies"]) if "run" in groups else []
    if "optional" in groups:
        listed += [entry for extra in PROJECT["project"]["optional-dependencies"].values() for entry in extra]
    for group in groups:
        listed += [entry for entry in PROJECT["dependency-groups"].get(group, []) if isinstance(entry, str)]
    return {canonicalize_name(Requirement(entry).name) for entry in listed}


def explained(heading: str) -> set[str]:
    text = (sources.ROOT / "docs/dependencies.md").read_text()
    section = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| ([a-z0-9][\w.-]*) \|", section, re.MULTILINE))


@pytest.mark.parametrize(
    ("heading", "groups"),
    [
        ("At run time", ["run"]),
        ("At run time, where it is asked for", ["optional"]),
        ("For development", ["dev", "build"]),
    ],
)
def test_table_explains_each_direct_dependency_and_no_other(heading: str, groups: list[str]) -> None:
    # What is optional is tested, too, and so among the packages for development.
    optional = set() if heading.endswith("asked for") else direct("optional")
    assert explained(heading) == direct(*groups) - optional


def test_what_the_product_imports_is_in_the_lock_for_running_it() -> None:
    locked = lock.read_lock((sources.ROOT / "requirements/run.txt").read_text())
    providers = packages_distributions()
    offered = locked.keys() | direct("optional")
    missing = {
        f"{source.path}: {top}"
        for source in sources.product()
        for name, _ in sources.imported(source.tree)
        if (top := name.partition(".")[0]) not in sys.stdlib_module_names | OURS
        and not {canonicalize_name(provider) for provider in providers.get(top, [])} & offered
    }
    assert missing == set()
