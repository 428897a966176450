"""All runs of a process share the modules of workflows and domain: so nothing in them may keep what a run has done."""

import ast
import threading
from collections.abc import Iterator, Sequence

import pytest
from temporalio import workflow

from pointsman import temporal
from tests import sample_workflows
from tests.gates.sources import ROOT, read
from tests.sample_workflows import NameAnItem, WaitForWord

CHANGES = {
    *("add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem", "popleft", "remove"),
    *("reverse", "setdefault", "sort", "update"),
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def kept(tree: ast.Module) -> Iterator[str]:
    """Where a function changes what the module, or another that it names, holds; and what all instances would share."""
    outer = {name for statement in tree.body for name in _bound(statement)}
    for node in ast.walk(tree):
        if isinstance(node, Function):
            within = list(ast.walk(node))
            changed = _changes(within, outer - _own(within))
            yield from (f"{node.name}: {ast.unparse(one)}" for one in changed)
        elif isinstance(node, ast.ClassDef):
            yield from (f"{node.name}: {ast.unparse(one)}" for one in node.body if _is_shared(one))


def _bound(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in statement.names)
    elif isinstance(statement, Function | ast.ClassDef):
        yield statement.name
    elif not isinstance(statement, ast.Expr):
        yield from (node.id for node in ast.walk(statement) if isinstance(node, ast.Name))


def _own(within: Sequence[ast.AST]) -> set[str]:
    """Names of the function itself, which hide those of its module."""
    arguments = {node.arg for node in within if isinstance(node, ast.arg)}
    names = {node.id for node in within if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return (arguments | names) - {name for node in within if isinstance(node, ast.Global) for name in node.names}


def _changes(within: Sequence[ast.AST], outer: set[str]) -> Iterator[ast.AST]:
    for node in within:
        changed: Sequence[ast.expr] = ()
        if isinstance(node, ast.Global):
            yield node
        elif isinstance(node, ast.Assign | ast.Delete):
            changed = [one for one in node.targets if isinstance(one, ast.Attribute | ast.Subscript)]
        elif isinstance(node, ast.AugAssign | ast.AnnAssign) and not isinstance(node.target, ast.Name):
            changed = [node.target]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGES:
            # `limits.add(...)` is a function of a module, `LIMITS.add(...)` changes a set.
            changed = [] if isinstance(node.func.value, ast.Name) and node.func.value.id.islower() else [node.func]
        yield from (node for one in changed if _root(one) in outer)


def _root(place: ast.expr) -> str:
    while isinstance(place, ast.Attribute | ast.Subscript):
        place = place.value
    return place.id if isinstance(place, ast.Name) else ""


def _is_shared(statement: ast.stmt) -> bool:
    """A list, set or mapping that belongs to a class."""
    if not isinstance(statement, ast.Assign | ast.AnnAssign):
        return False
    value = statement.value
    made = value.func.id if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) else ""
    return isinstance(value, ast.List | ast.Set | ast.Dict) or made in {"list", "set", "dict", "defaultdict", "deque"}


def test_nothing_in_the_sandbox_keeps_what_a_run_has_done() -> None:
    inside = list(read(ROOT, ("workflows", "pointsman/domain")))
    assert len(inside) > 50
    assert [f"{one.path}: {line}" for one in inside for line in kept(one.tree)] == []


@pytest.mark.parametrize(
    "fault",
    [
        "SEEN = []\ndef f():\n    SEEN.append(1)",
        "SEEN = {}\ndef f(key):\n    SEEN[key] = 1",
        "from a import SEEN\ndef f():\n    del SEEN['x']",
        "import a\nasync def f():\n    a.last = 1",
        "COUNT = 0\ndef f():\n    global COUNT\n    COUNT += 1",
        "class Run:\n    seen = []",
        "class Run:\n    def f(self):\n        Run.last = self",
    ],
)
def test_what_would_keep_something_is_found(fault: str) -> None:
    assert list(kept(ast.parse(fault)))


def test_what_is_a_functions_own_may_change() -> None:
    own = "SEEN = []\ndef f(seen):\n    SEEN = list(seen)\n    SEEN.append(1)\n    self = {}\n    self['x'] = SEEN"
    assert list(kept(ast.parse(own))) == []


async def test_a_module_is_loaded_into_the_sandbox_once_for_all_runs_and_workers() -> None:
    loaded = []
    for kind in (WaitForWord, NameAnItem):
        temporal.workflow_runner().prepare_workflow(workflow._Definition.must_from_class(kind))
        loaded += [one.new_modules[sample_workflows.__name__] for one in temporal._Runner.sandboxes]
    assert loaded[0] is loaded[-1]
    assert loaded[0] is not sample_workflows


def test_a_run_that_ends_lifts_no_restriction_of_one_that_goes_on() -> None:
    context = temporal._ByThread()
    context.is_runtime = context.in_activation = True

    def another() -> None:
        seen.append(context.is_runtime)
        context.is_runtime = True
        context.is_runtime = context.in_activation = False

    seen: list[bool] = []
    thread = threading.Thread(target=another)
    thread.start()
    thread.join()
    assert seen == [False]
    assert context.is_runtime
    assert context.in_activation
