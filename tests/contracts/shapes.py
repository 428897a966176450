"""The shape of a contract as data, and what of a change to it would break histories that are read again."""

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import ModuleType
from typing import get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pointsman import contracts
from pointsman.contracts.base import Contract

Shape = dict[str, str]
"""For a contract: field name to `type`, with `, required` where it has no default. For an enum: value to `value`."""
Shapes = dict[str, Shape]
REQUIRED = ", required"


def modules() -> list[ModuleType]:
    names = sorted(found.name for found in pkgutil.iter_modules(contracts.__path__))
    return [importlib.import_module(f"{contracts.__name__}.{name}") for name in names]


def current() -> Shapes:
    """Shapes of all that `pointsman.contracts` defines, by `module.Name`."""
    found: Shapes = {}
    for module in modules():
        for name, thing in sorted(vars(module).items()):
            if (
                isinstance(thing, type)
                and thing.__module__ == module.__name__
                and issubclass(thing, Contract | StrEnum)
            ):
                found[f"{module.__name__.rpartition('.')[2]}.{name}"] = shape(thing)
    return found


def shape(thing: type[BaseModel] | type[StrEnum]) -> Shape:
    if issubclass(thing, StrEnum):
        return {member.value: "value" for member in thing}
    return {name: _field(info) for name, info in sorted(thing.model_fields.items())}


def _field(info: FieldInfo) -> str:
    """Type, constraints and whether it must be there: `int [Gt(gt=0)], required`."""
    limits = f" {sorted(map(repr, info.metadata))}" if info.metadata else ""
    return f"{_spell(info.annotation)}{limits}{REQUIRED if info.is_required() else ''}"


def _spell(annotation: object) -> str:
    """The annotation as one writes it, the same in every version of Python."""
    arguments = get_args(annotation)
    if not arguments:
        return annotation.__name__ if isinstance(annotation, type) else str(annotation)
    inner = [_spell(one) if one is not ... else "..." for one in arguments]
    origin = get_origin(annotation)
    if isinstance(origin, type) and origin.__module__ == "builtins":
        return f"{origin.__name__}[{', '.join(inner)}]"
    return " | ".join(inner)


def breaches(before: Mapping[str, Shape], after: Mapping[str, Shape]) -> list[str]:
    """What an old history, or an older worker, would stumble over."""
    found = [f"{name} is gone" for name in before if name not in after]
    for name in before.keys() & after.keys():
        found += (f"{name}.{fault}" for fault in _breaches(before[name], after[name]))
    return sorted(found)


def _breaches(before: Shape, after: Shape) -> Iterable[str]:
    for field, kind in before.items():
        if field not in after:
            yield f"{field} is gone"
        elif after[field] not in (kind, kind.removesuffix(REQUIRED)):  # a default may be added to an old field
            yield f"{field} was {kind!r}, is {after[field]!r}"
    for field in after.keys() - before.keys():
        if after[field].endswith(REQUIRED):
            yield f"{field} is new and has no default"
