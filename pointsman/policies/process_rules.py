"""Read the checks of processes: our files in `processes/`, and the user's, which replace or extend them.

An error names file, line, key, value, and what is allowed.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from pydantic import Field
from pydantic import ValidationError as ContractError

from pointsman.contracts.base import Json
from pointsman.contracts.process import AllOf, AnyOf, Check, ProcessPolicy, Rule
from pointsman.domain.process.evaluation import of_a_project
from pointsman.policies import rule_names
from pointsman.policies.document import Document, PolicyError, Steps, read

OURS = Path(__file__).parent / "processes"
FOLDER = "processes"
REQUIRED = "is required"


class ProcessFile(ProcessPolicy):
    """One file. With `extends` it says only what differs from the process of that name."""

    extends: str = ""
    without: tuple[str, ...] = Field(default=())
    """Checks of the extended process that do not count."""


def load_processes(folder: Path | None = None) -> Mapping[str, ProcessPolicy]:
    """Every process by its name: ours, over them those of `folder/processes`.

    Raises:
        PolicyError: a file cannot be read, says what no check knows, or extends what does not exist.
    """
    known: dict[str, ProcessPolicy] = dict(_ours())
    for path in _files(folder / FOLDER) if folder else ():
        policy = _read(path, known)
        known[policy.name] = policy
    return known


@cache
def _ours() -> Mapping[str, ProcessPolicy]:
    policies = [_read(path, {}, ours=True) for path in _files(OURS)]
    return {policy.name: policy for policy in policies}


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.yaml"))


def _read(path: Path, known: Mapping[str, ProcessPolicy], *, ours: bool = False) -> ProcessPolicy:
    document = read(path, ours=ours)
    try:
        file = ProcessFile.model_validate(document.content, extra="forbid")
    except ContractError as error:
        raise PolicyError("\n".join(_explain(document, fault) for fault in _distinct(error))) from None
    _check(document, file)
    return _extended(document, file.model_copy(update={"checks": tuple(_named(document, file))}), known)


def _named(document: Document, file: ProcessFile) -> Iterator[Check]:
    """The checks, whose names are those that programs use."""
    for number, check in enumerate(file.checks):

        def refuse(place: Steps, value: Json, allowed: str, at: int = number) -> PolicyError:
            return PolicyError(document.fault(["checks", at, *place], value, allowed))

        yield rule_names.checked(check, refuse)


def _distinct(error: ContractError) -> Sequence[tuple[Steps, Json, str]]:
    faults = error.errors(include_url=False, include_context=False)[:10]
    return [(list(one["loc"]), one["input"], _allowed(one["type"], one["msg"])) for one in faults]


def _allowed(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "there is no such key here"
    if kind == "missing":
        return REQUIRED
    if kind == "union_tag_invalid":
        return message.partition("expected tags: ")[2].join(("must be one of: ", ""))
    return message[:1].lower() + message[1:]


def _explain(document: Document, fault: tuple[Steps, Json, str]) -> str:
    steps, value, allowed = fault
    shown = None if allowed == REQUIRED else value
    return document.fault(_in_file(document.content, steps), shown, allowed)


def _in_file(content: Json, steps: Steps) -> list[str | int]:
    """The place without the kinds of rules, which pydantic names on the way and the file does not."""
    found: list[str | int] = []
    for number, step in enumerate(steps):
        if isinstance(content, dict) and content.get("kind") == step and step not in content:
            continue
        found.append(step)
        inside = isinstance(content, dict) and step in content
        if inside and isinstance(content, dict):
            content = content[str(step)]
        elif isinstance(content, list) and isinstance(step, int) and step < len(content):
            content = content[step]
        else:
            return [*found, *steps[number + 1 :]]
    return found


def _check(document: Document, file: ProcessFile) -> None:
    """What the shape cannot say: names are unique, and rules about a project stand alone."""
    seen: set[str] = set()
    for number, check in enumerate(file.checks):
        if check.id in seen:
            raise PolicyError(document.fault(["checks", number, "id"], check.id, "is given twice"))
        seen.add(check.id)
        if isinstance(check.rule, AnyOf | AllOf) and any(map(_about_a_project, check.rule.rules)):
            allowed = "a rule about a project cannot stand inside another"
            raise PolicyError(document.fault(["checks", number, "rule"], check.rule.kind, allowed))


def _about_a_project(rule: Rule) -> bool:
    inner = rule.rules if isinstance(rule, AnyOf | AllOf) else ()
    return of_a_project(rule) or any(map(_about_a_project, inner))


def _extended(document: Document, file: ProcessFile, known: Mapping[str, ProcessPolicy]) -> ProcessPolicy:
    base = known.get(file.extends)
    if base is None:
        if file.extends:
            raise PolicyError(document.fault(["extends"], file.extends, f"allowed: {', '.join(known) or 'nothing'}"))
        return _policy(file, file.checks)
    ids = {check.id for check in base.checks}
    if strangers := [name for name in file.without if name not in ids]:
        raise PolicyError(document.fault(["without"], strangers, f"allowed: {', '.join(sorted(ids))}"))
    own = {check.id: check for check in file.checks}
    kept = [own.pop(check.id, check) for check in base.checks if check.id not in file.without]
    merged = _policy(file, (*kept, *own.values()))
    return merged.model_copy(
        update={
            "processes": file.processes or base.processes,
            "base": file.base or base.base,
            "levels": file.levels or base.levels,
        }
    )


def _policy(file: ProcessFile, checks: Sequence[Check]) -> ProcessPolicy:
    return ProcessPolicy(
        name=file.name,
        version=file.version,
        processes=file.processes,
        base=file.base,
        levels=file.levels,
        checks=tuple(checks),
    )
