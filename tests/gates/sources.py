"""Python files of the project, parsed. Files that do not parse are left to the compiler's own message."""

import ast
import gc
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("activities", "pointsman", "starter", "workflows", "worker.py")
EVERYTHING = (*PRODUCT, "bench", "tests")


class Source(NamedTuple):
    path: Path
    """Relative to the root."""
    text: str
    tree: ast.Module


def read(root: Path, places: tuple[str, ...]) -> Iterator[Source]:
    for place in places:
        found = [root / place] if place.endswith(".py") else sorted((root / place).rglob("*.py"))
        for file in found:
            if file.is_file():
                text = file.read_text()
                yield Source(file.relative_to(root), text, ast.parse(text, str(file)))


@cache
def everything() -> Sequence[Source]:
    """All Python of the project. Parsing it takes two seconds, so a test process does it once.

    Trees stay until the end: looking through them for garbage would take three times as long as parsing, and a second
    at each later look.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return tuple(read(ROOT, EVERYTHING))
    finally:
        gc.freeze()
        if collects:
            gc.enable()


def product() -> Sequence[Source]:
    return [source for source in everything() if source.path.parts[0] in PRODUCT]


@cache
def imported(tree: ast.AST) -> Sequence[tuple[str, int]]:
    """Each imported module with its line. `from a import b` counts as `a` and as `a.b`, which may be a module."""
    return tuple(_imports(tree))


def statements(tree: ast.AST) -> Iterator[ast.stmt]:
    """All of them, however deep they stand. Expressions hold none, and are nine tenths of a tree."""
    blocks = [tree]
    for block in blocks:
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            held = getattr(block, field, ())
            blocks += held
            yield from (one for one in held if isinstance(one, ast.stmt))


def _imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in statements(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)
