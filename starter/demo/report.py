"""What the demo shows at its end: a table of items, the checks, and where to look."""

import json
import shlex
import sys
from collections.abc import Sequence
from urllib.parse import quote

from rich.console import Console
from rich.table import Table

from pointsman.contracts.base import Json
from pointsman.contracts.records import AttemptKind
from pointsman.domain.words import how_many
from starter.demo.checks import Check
from starter.demo.inside import Told
from starter.demo.processes import Stage
from starter.program import ourselves

PIPE_COLUMNS = 140


class Links:
    """Where people look: Temporal's UI, and the work item."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def workflow(self, workflow_id: str) -> str:
        return f"{self._stage.ui_url}/namespaces/default/workflows/{quote(workflow_id, safe='')}"


def item_json(told: Told, links: Links) -> dict[str, Json]:
    row = told.row
    return {
        "item": row.key.id,
        "title": row.facts.title if row.facts else "",
        "state": row.state.value,
        "reason": row.reason,
        "agent": row.agent,
        "steps": sum(attempt.kind is AttemptKind.MODEL and bool(attempt.outcome) for attempt in told.attempts),
        "model_calls": row.usage.model_calls,
        "tool_calls": row.usage.tool_calls,
        "tokens": row.usage.input_tokens + row.usage.output_tokens,
        "cost_usd": row.usage.cost_usd,
        "waited_seconds": round(row.waited_seconds, 1),
        "seconds": round((row.changed_at - row.first_at).total_seconds(), 1),
        "workflow": row.workflow_id,
        "link": links.workflow(row.workflow_id),
    }


def show(items: Sequence[Told], checks: Sequence[Check], links: Links, *, ok: bool, seconds: float) -> None:
    # A pipe tells no width, and a table of ten columns wants one.
    console = Console() if sys.stdout.isatty() else Console(width=PIPE_COLUMNS)
    if items:
        console.print(_items(items, links))
        for told in items:  # whole on one line, or a terminal would not open it
            link = links.workflow(told.row.workflow_id)
            console.print(f"item {told.row.key.id}: {link}", soft_wrap=True, highlight=False, markup=False)
    console.print(_checks(checks))
    held = sum(check.ok for check in checks)
    console.print(f"{held} of {how_many(len(checks), 'check')} held, {seconds} s", style="green" if ok else "bold red")


def _items(items: Sequence[Told], links: Links) -> Table:
    columns = (
        "item",
        "state",
        "agent",
        "steps",
        "model_calls",
        "tool_calls",
        "tokens",
        "cost_usd",
        "waited_seconds",
        "seconds",
    )
    table = Table(title="Work items", title_justify="left")
    for column in columns:
        table.add_column(column.replace("_", " "))
    for told in items:
        row = item_json(told, links)
        table.add_row(*(str(row[column]) for column in columns))
    return table


def _checks(checks: Sequence[Check]) -> Table:
    table = Table(title="Checks", title_justify="left")
    for column in ("held", "what", "evidence"):
        table.add_column(column, overflow="fold")
    for check in checks:
        table.add_row("yes" if check.ok else "NO", check.name, check.evidence)
    return table


def kept(stage: Stage) -> Sequence[str]:
    """Where all of it is, and what a person can do with it. The token is one of this run, for the stand-in alone."""
    new = json.dumps([{"op": "add", "path": "/fields/System.Title", "value": "Login fails"}])
    items = f"{stage.azure_url}/{stage.organisation}/{stage.project}/_apis/wit/workitems/$Bug?api-version=7.1"
    header = "Content-Type: application/json-patch+json"
    file = ("curl", "--user", f":{stage.person_token}", "--header", header, "--data", new, items)
    return (
        f"left running: Temporal UI {stage.ui_url} (process {stage.server.pid}), Pointsman {stage.web_url} (process "
        f"{stage.pointsman.pid}), stand-ins {stage.azure_url} (process {stage.sandbox.pid}); state in {stage.folder}",
        f"look, in another shell: set -a; . {shlex.quote(str(stage.write_settings()))}; set +a",
        f"   then: {ourselves()} items list",
        f"   or: {ourselves()} hooks list",
        f"file an item of your own: {shlex.join(file)}",
        "Ctrl-C ends it all",
    )
