"""What of STYLE can be counted: sizes, words that mark unfinished work, places of one machine, bare suppressions."""

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from statistics import median

from tests.gates.sources import Source, statements

FUNCTION_LINES_MAX = 60
FUNCTION_LINES_MEDIAN_MAX = 10
MODULE_LINES_MAX = 400

UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b")
REGISTRY = re.compile(
    "|".join(
        rf"{host}\.{end}"
        for host, end in (
            ("py" + "pi", "org"),
            ("python" + "hosted", "org"),
            ("proxy.go" + "lang", "org"),
            ("repo1?.maven(.apache)?", "org"),
            ("registry.npm" + "js", "org"),
            ("crates", "io"),
            ("deb.deb" + "ian", "org"),
        )
    )
)
# A home, a scratch folder, a work place: /usr, /etc, /proc and the like are the same everywhere.
MACHINE_PATH = re.compile(r"(?<![\w.$}/-])/(work|root|home|Users|tmp|mnt|opt|srv)/\w")
SUPPRESSION = re.compile(r"#\s*(noqa\b[^#]*|type:\s*ignore\b.*)")
REASONED = re.compile(r"(noqa(:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*)\s+-\s+\w.*|type:\s*ignore\[[\w, -]+\]\s*#\s*\w.*)")


@cache
def function_lines(source: Source) -> Sequence[tuple[str, int, int]]:
    """(name, line, lines) of each function; its docstring does not count."""
    return tuple(_function_lines(source))


def _function_lines(source: Source) -> Iterator[tuple[str, int, int]]:
    for node in statements(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if ast.get_docstring(node, clean=False) is not None:
                lines -= (node.body[0].end_lineno or 0) - node.body[0].lineno + 1
            yield node.name, node.lineno, lines


def long_functions(source: Source) -> list[str]:
    return [
        f"{source.path}:{line}: {name} has {lines} lines, at most {FUNCTION_LINES_MAX} are allowed"
        for name, line, lines in function_lines(source)
        if lines > FUNCTION_LINES_MAX
    ]


def long_module(source: Source) -> list[str]:
    lines = len(source.text.splitlines())
    if lines <= MODULE_LINES_MAX:
        return []
    return [f"{source.path}: {lines} lines, at most {MODULE_LINES_MAX} are allowed"]


def median_function(sources: Iterable[Source]) -> float:
    return median([lines for source in sources for _, _, lines in function_lines(source)] or [0])


def unfinished_words(source: Source) -> list[str]:
    return _matches(source, UNFINISHED, "marks unfinished work")


def registry_names(source: Source) -> list[str]:
    return _matches(source, REGISTRY, "names a registry's host")


def machine_paths(source: Source) -> list[str]:
    return _matches(source, MACHINE_PATH, "is a path of one machine")


def bare_suppressions(source: Source) -> list[str]:
    """`noqa` and `type: ignore` whose line gives no code or no reason."""
    if not SUPPRESSION.search(source.text):
        return []  # taking a file apart costs a hundred times as much as this look
    comments = (
        token for token in tokenize.generate_tokens(io.StringIO(source.text).readline) if token.type == tokenize.COMMENT
    )
    return [
        f"{source.path}:{comment.start[0]}: {found[1].strip()!r} gives no code and reason"
        for comment in comments
        if (found := SUPPRESSION.search(comment.string)) and not REASONED.match(found[1])
    ]


def _matches(source: Source, pattern: re.Pattern[str], fault: str) -> list[str]:
    if not pattern.search(source.text):
        return []
    return [
        f"{source.path}:{number}: {found[0]!r} {fault}"
        for number, line in enumerate(source.text.splitlines(), 1)
        if (found := pattern.search(line))
    ]


RULES: Mapping[str, Callable[[Source], list[str]]] = {
    "functions fit on a screen": long_functions,
    "modules stay short": long_module,
    "nothing is marked as unfinished": unfinished_words,
    "no registry is named": registry_names,
    "no path of one machine": machine_paths,
    "suppressions give their reason": bare_suppressions,
}
