"""Hold what is installed against the lock, and the lock against `pyproject.toml`: `python -m tests.gates.lock`."""

import sys
import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# What makes a virtual environment, and what we install into it ourselves.
UNLOCKED = frozenset({"pip", "setuptools", "wheel", "pointsman"})
MEND = "run `make lock` after a change of pyproject.toml, `make clean` and the same target again after one of the lock"


def read_lock(text: str) -> dict[str, str]:
    """Name to version, as far as the markers mean this machine.

    Raises:
        ValueError: an entry is not pinned to one version, or has no hash.
    """
    pins: dict[str, str] = {}
    for entry in text.replace("\\\n", " ").splitlines():
        if not entry.strip() or entry.lstrip().startswith("#"):
            continue
        if "--hash=sha256:" not in entry:
            raise ValueError(f"no hash in {entry.strip()!r}")
        requirement = Requirement(entry.partition("--hash")[0].strip())
        version = str(requirement.specifier).removeprefix("==")
        if len(requirement.specifier) != 1 or version == str(requirement.specifier):
            raise ValueError(f"not pinned to one version: {entry.partition('--hash')[0].strip()!r}")
        if requirement.marker is None or requirement.marker.evaluate():
            pins[canonicalize_name(requirement.name)] = version
    return pins


def differences(locked: Mapping[str, str], installed: Mapping[str, str]) -> list[str]:
    """A line for each package that is missing, of another version, or not in the lock."""
    wrong = [
        f"{name}: locked {version}, installed {installed.get(name, 'not at all')}"
        for name, version in locked.items()
        if installed.get(name) != version
    ]
    return wrong + [f"{name} {installed[name]}: not in the lock" for name in sorted(installed.keys() - locked.keys())]


def unmet(requirements: Iterable[str], locked: Mapping[str, str]) -> list[str]:
    """A line for each requirement of the project that the lock does not meet."""
    parsed = [Requirement(requirement) for requirement in requirements]
    return [
        f"{requirement}: the lock has {locked.get(canonicalize_name(requirement.name), 'nothing')}"
        for requirement in parsed
        if (requirement.marker is None or requirement.marker.evaluate())
        and not requirement.specifier.contains(locked.get(canonicalize_name(requirement.name), "0"), prereleases=True)
    ]


def _installed() -> dict[str, str]:
    found = {canonicalize_name(package.name): package.version for package in distributions()}
    return {name: version for name, version in found.items() if name not in UNLOCKED}


def main() -> int:
    project = tomllib.loads(Path("pyproject.toml").read_text())
    run, dev = (read_lock(Path(f"requirements/{name}.txt").read_text()) for name in ("run", "dev"))
    groups = [entry for entries in project["dependency-groups"].values() for entry in entries if isinstance(entry, str)]
    lines = [
        *(f"run.txt and dev.txt disagree: {name} {run[name]}" for name in run if dev.get(name) != run[name]),
        *unmet(project["project"]["dependencies"], run),
        *unmet(groups, dev),
        *differences(dev, _installed()),
    ]
    print("\n".join([*lines, MEND]) if lines else f"lock: {len(dev)} packages, all installed as locked")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
