"""Which type of work item plays which role, for each process of the service and for what teams derive from them."""

from collections.abc import Sequence

from pointsman.contracts.matrix import Column, MatrixShape, Role

BESIDE = {"Test Case": Role.TEST, "Review": Role.REVIEW, "Change Request": Role.CHANGE}
"""Types that hang on no level of the backlog; a process that does not have one has no items of it."""
LEVELS = {
    "agile": (("Epic",), ("Feature",), ("User Story",), ("Task", "Bug")),
    "scrum": (("Epic",), ("Feature",), ("Product Backlog Item", "Bug"), ("Task",)),
    "cmmi": (("Epic",), ("Feature",), ("Requirement",), ("Task", "Bug")),
    "basic": (("Epic",), (), ("Issue",), ("Task",)),
}
_ROLES = (Role.EPIC, Role.FEATURE, Role.REQUIREMENT, Role.WORK)
_NOT_WORK = {"Issue", "Risk", "Impediment"}
"""Types on the lowest level of some processes that are about the work, and are not it."""


def shape_of(process: str, levels: Sequence[Sequence[str]] = ()) -> MatrixShape | None:
    """The roles in a process. `levels` are a team's own, from the top down to work: four of them, or they say nothing
    of the matrix. None for a process that nobody knows."""
    known = tuple(map(tuple, levels)) if len(levels) == len(_ROLES) else LEVELS.get(process.casefold())
    if known is None:
        return None
    roles = {kind: role for role, kinds in zip(_ROLES, known, strict=True) for kind in kinds}
    roles = {kind: role for kind, role in roles.items() if role is not Role.WORK or kind not in _NOT_WORK}
    beside = BESIDE if process.casefold() == "cmmi" or _has(levels, "Review") else {"Test Case": Role.TEST}
    return MatrixShape(process=process, roles={**roles, **beside})


def _has(levels: Sequence[Sequence[str]], kind: str) -> bool:
    return any(kind in level for level in levels)


def has(shape: MatrixShape, role: Role) -> bool:
    return role in shape.roles.values()


def types_of(shape: MatrixShape, *roles: Role) -> Sequence[str]:
    """In the order of the shape."""
    return [kind for kind, role in shape.roles.items() if role in roles]


COLUMN_OF = {
    Role.EPIC: Column.EPIC,
    Role.FEATURE: Column.FEATURE,
    Role.REQUIREMENT: Column.REQUIREMENT,
    Role.WORK: Column.WORK,
    Role.TEST: Column.TEST,
    Role.REVIEW: Column.REVIEW,
    Role.CHANGE: Column.CHANGE,
}
