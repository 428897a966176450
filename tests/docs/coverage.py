"""The page that says how much of Azure DevOps the stand-in plays, and how that is judged."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import get_args

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops import wiql, wiql_links
from pointsman.sandbox.azure_devops.app import AREAS
from pointsman.sandbox.azure_devops.calls import Operation
from pointsman.sandbox.azure_devops.code_areas import CODE_AREAS
from pointsman.sandbox.azure_devops.fault_kinds import FaultKind

SANDBOX = Path(__file__).parents[1] / "sandbox"
TABLES = ("operations.json", "operations_code.json", "operations_people.json")
Rows = Mapping[str, dict[str, Json]]

TITLES = {
    "wit": "Work items",
    "core": "Projects, processes, teams",
    "hooks": "Service hooks",
    "git": "Repositories, pull requests",
    "policy": "Branch policies",
    "build": "Builds",
    "processes": "Process customisation",
    "graph": "Users and groups",
}
"""Areas for which Microsoft publishes examples."""


@cache
def operations() -> dict[str, Operation]:
    """All that the stand-in serves, by its name for it."""
    return {one.name: one for area in (*AREAS, *CODE_AREAS) for one in area.OPERATIONS}


@cache
def sent() -> frozenset[str]:
    """Operations that the client sends: the tables name each, and no other."""
    documents = (json.loads((SANDBOX / name).read_text("utf-8")) for name in TABLES)
    return frozenset(str(row["name"]) for document in documents for row in document["operations"])


def coverage(written: str) -> str:
    """`written` says that the page is generated."""
    told = json.loads((SANDBOX / "examples.json").read_text("utf-8"))
    played: Rows = told["played"]
    others: Mapping[str, Mapping[str, int]] = told["not played"]
    asked, valid = (sum(int(str(row[name])) for row in played.values()) for name in ("examples", "valid"))
    missing = sum(sum(held.values()) for held in others.values())
    return f"""# The stand-in for Azure DevOps: what it covers

{written}

The stand-in serves {len(operations())} operations; the client sends {len(sent())} of them. Three things judge it:

- **Microsoft's specifications** of REST 7.1, after corrections that are each named in `tests/sandbox/overlay*.py`:
  each request of the client, and each answer to it, has to fit. They are not part of this repository; the tests take
  them from the folder that `POINTSMAN_AZURE_SPECS` names.
- **Our own tables** of the operations that the client sends (`tests/sandbox/operations*.json`), which judge the same
  requests and answers in a clone without the specifications.
- **Microsoft's documented examples.** There are {asked + missing} of them for {len(TITLES)} areas. Each whose operation
  the stand-in has is sent to it, in a world made such as the request takes for granted: {valid} of {asked} get an
  answer that fits the specification. The other {missing} ask for what nothing of ours uses.

## Examples by area

| Area | Sent | Answered as specified | Not served |
| --- | ---: | ---: | ---: |
{_by_area(played, others)}

Microsoft publishes no examples for pipelines, approvals, test plans, test results, identities, operations and the
audit log; there the specifications and the tables judge alone.

## Operations

| Operation | Request | Client | Examples answered |
| --- | --- | --- | ---: |
{_by_operation(played)}

{_queries()}

{_on_demand()}

## Not served

Documented operations with examples that the stand-in does not have, with how many examples each has.

| Area | Operations |
| --- | --- |
{_not_served(others)}
"""


def _by_area(played: Rows, others: Mapping[str, Mapping[str, int]]) -> str:
    counts: dict[str, Counter[str]] = {area: Counter() for area in TITLES}
    for row in played.values():
        counts[str(row["area"])].update({name: int(str(row[name])) for name in ("examples", "valid")})
    for area, held in others.items():
        counts[area].update(other=sum(held.values()))
    rows = (
        (TITLES[area], *(str(one[kind]) for kind in ("examples", "valid", "other"))) for area, one in counts.items()
    )
    return _rows(rows)


def _by_operation(played: Rows) -> str:
    rows = []
    for name, one in sorted(operations().items()):
        row = played.get(name)
        known = f"{row['valid']} of {row['examples']}" if row else "–"
        rows.append((f"`{name}`", f"`{one.method} {one.path}`", "yes" if name in sent() else "", known))
    return _rows(rows)


def _queries() -> str:
    rows = (
        ("Operators", _listed(wiql.OPERATORS)),
        ("Macros", f"{_listed(wiql.MACROS)}, with days added or taken away"),
        ("Modes", _listed(wiql_links.MODES)),
    )
    return f"""## Queries

The stand-in answers flat queries over `WorkItems`, and queries over `WorkItemLinks`, with these operators, macros and
modes, joined by `AND`, `OR` and parentheses. Whatever else WIQL has is refused by its name.

| Part | Known |
| --- | --- |
{_rows(rows)}"""


def _on_demand() -> str:
    kinds = _listed(kind for kind in get_args(FaultKind) if kind)
    rows = (
        (
            "`faults`",
            f"the next requests that fit fail: {kinds}, or any status, headers, body, delay or cut connection",
        ),
        ("`allowance`", "accounts are slowed down near the end of their allowance, and refused beyond"),
        ("`deliveries`", "events are doubled, delayed, held back behind later ones, lost, or kept waiting"),
        ("`deliveries/release`", "lets go what was held back"),
        ("`clock`", "time goes ahead: retries, 36 hours of probation, seven days of history"),
        ("`subscriptions/ID`", "a subscription is disabled, as when its owner leaves"),
        ("`builds/finish`, `approvals`", "a build ends, a stage waits for people"),
    )
    return f"""## On demand

`POST /_sandbox/...` on the stand-in's own address makes it behave as the service does at its worst. The words that each
takes are in `pointsman/sandbox/azure_devops/control.py`.

| Path | Does |
| --- | --- |
{_rows(rows)}"""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _not_served(others: Mapping[str, Mapping[str, int]]) -> str:
    told = {area: [f"{name} ({count})" for name, count in sorted(held.items())] for area, held in others.items()}
    return _rows((TITLES[area], ", ".join(names)) for area, names in told.items())


def _rows(rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
