"""What Temporal's own UI tells people of a rollback, in Markdown."""

from pointsman.contracts.base import Json
from pointsman.contracts.rollback import FieldBack, RollbackPlan, RollbackRequest, RollbackResult, RollbackScope
from pointsman.domain.loose import as_written
from pointsman.domain.story import BOTTOM, literal


def scope_told(scope: RollbackScope) -> str:
    """In words: `turn 0199/2, only System.Title`."""
    parts = [
        f"write {scope.write}" if scope.write else "",
        f"turn {scope.turn}" if scope.turn else "",
        f"all since {scope.moment.isoformat()}" if scope.moment else "",
        f"all since revision {scope.rev}" if scope.rev else "",
    ]
    what = next((part for part in parts if part), "our last write")
    return f"{what}, only {', '.join(scope.fields)}" if scope.fields else what


def rollback(ask: RollbackRequest, result: RollbackResult) -> str:
    """Who takes what back, why, and what it comes to."""
    dry = " (dry run: nothing is written)" if ask.dry_run else ""
    made = f", revision {result.rev}" if result.rev else ""
    lines = [
        f"### Rollback of {literal(str(ask.key))}{dry}",
        f"**{result.status}{made}**: {literal(scope_told(ask.scope))}",
        "",
        f"- asked for by {literal(ask.by)}: {literal(ask.reason)}",
        *(f"- {literal(one.field)}: {_value(one.now)} -> {_value(one.then)}" for one in _back(result.plan)),
    ]
    lines += [f"- {literal(one.link)}: {'comes back' if one.comes_back else 'goes'}" for one in result.plan.links]
    lines += [f"- comment {one.id}: {_value(one.now)} -> {_value(one.then)}" for one in result.plan.comments]
    if result.plan.refused:
        lines += ["", "**Refused:**", ""]
        lines += [f"- {literal(one.field or 'all of it')}: {literal(one.reason)}" for one in result.plan.refused]
    if result.plan.kept:
        lines += ["", "**Kept:**", ""]
        lines += [f"- {literal(one.field)}: {literal(one.reason)}" for one in result.plan.kept]
    return "\n".join([*lines, *BOTTOM])


def _back(plan: RollbackPlan) -> list[FieldBack]:
    held = {one.field for one in plan.refused}
    return [one for one in plan.back if one.field not in held]


def _value(value: Json) -> str:
    return literal(str(as_written(value))) if value not in (None, "") else "(empty)"
