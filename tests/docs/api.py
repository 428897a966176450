"""The reference of the model service's Python interface, read from the sources as they are written."""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "pointsman" / "llm"
MODULES = (
    *("service", "setup", "types", "events", "errors", "client", "embedder"),
    *("selector", "registry", "governance", "budgets", "limits", "retries", "breakers"),
)
HEAD = """# Python interface

Everything that is public in the modules that callers use. `from pointsman.llm import …` has the most wanted of it.
"""
SECTIONS = ("Raises:", "Returns:", "Yields:")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def page(written: str) -> str:
    """The whole page; `written` is the line that says where it comes from."""
    return HEAD + f"\n{written}\n" + "".join(_module(FOLDER / f"{name}.py") for name in MODULES)


def _module(path: Path) -> str:
    source = ast.parse(path.read_text(encoding="utf-8"))
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    told = f"\n## `{name}`\n\n{(ast.get_docstring(source) or '').partition(chr(10) * 2)[0]}\n"
    for node in source.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            told += _class(node)
        elif isinstance(node, Function) and not node.name.startswith("_"):
            told += f"\n### `{_signature(node)}`\n{_doc(node)}"
    return told


def _class(node: ast.ClassDef) -> str:
    bases = [ast.unparse(base) for base in node.bases if not ast.unparse(base).startswith("_")]
    of = f"({', '.join(bases)})" if bases else ""
    told = f"\n### `{node.name}{of}`\n{_doc(node)}"
    if fields := list(_fields(node.body)):
        told += "\n| Field | |\n| --- | --- |\n" + "".join(f"| `{field}` | {words} |\n" for field, words in fields)
    for method in node.body:
        if isinstance(method, Function) and not method.name.startswith("_") and ast.get_docstring(method):
            told += f"\n`{_shown(method)}`\n:   {textwrap.indent(_text(method), '    ').strip()}\n"
    return told


def _fields(body: Sequence[ast.stmt]) -> Iterator[tuple[str, str]]:
    """Fields and members of an enumeration, each with the string after it."""
    for statement, after in zip(body, (*body[1:], ast.Pass()), strict=True):
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                words = ""
                match after:
                    case ast.Expr(value=ast.Constant(value=str(text))):
                        words = " ".join(text.split())
                if not name.startswith("_") and name != "model_config":
                    yield ast.unparse(statement).replace("|", "or"), words


def _shown(method: Function) -> str:
    is_property = any(ast.unparse(one).endswith("property") for one in method.decorator_list)
    return f"{method.name}: {ast.unparse(method.returns)}" if is_property and method.returns else _signature(method)


def _signature(node: Function) -> str:
    arguments = ast.unparse(node.args).removeprefix("self").removeprefix("cls").removeprefix(", ")
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    prefix = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    return f"{prefix}{node.name}({arguments}){returns}"


def _doc(node: ast.ClassDef | Function) -> str:
    return f"\n{_text(node)}\n" if ast.get_docstring(node) else ""


def _text(node: ast.ClassDef | Function) -> str:
    """The docstring, its sections (Raises) as lists."""
    told: list[str] = []
    in_section = False
    for line in inspect.cleandoc(ast.get_docstring(node) or "").splitlines():
        if not line.startswith(" "):
            in_section = line in SECTIONS
            told.append(f"{line}\n" if in_section else line)
        elif not in_section:
            told.append(line)
        elif line.startswith("     "):
            told[-1] += f" {line.strip()}"
        else:
            told.append(f"- {line.strip()}")
    return "\n".join(told)
