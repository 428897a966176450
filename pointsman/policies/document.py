"""A YAML file as JSON with line numbers: what is ambiguous or hostile is refused at its line, nothing is guessed.

Beside text, YAML's own types are taken for null, truth values and numbers only; a date stays the text that it is.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from pointsman.contracts.base import Json

BYTES_MAX = 1_000_000
NODES_MAX = 20_000  # aliases may multiply a small file without bound
NESTED_MAX = 100
UNCHANGED = "Nothing was loaded."

Steps = Sequence[str | int]


class PolicyError(ValueError):
    """The policy cannot be used. The text names file, line, key, value and what is allowed."""


@dataclass(frozen=True)
class Document:
    path: Path
    content: dict[str, Json]
    root: yaml.MappingNode

    def line(self, steps: Steps) -> int:
        """Line of what stands at `steps`, counted from 1; of the deepest part of it that exists."""
        node: yaml.Node = self.root
        line = int(node.start_mark.line)
        for step in steps:
            found = _entry(node, step)
            if found is None:
                break
            line, node = found
        return line + 1

    def fault(self, steps: Steps, value: object, allowed: str) -> str:
        return _fault(self.path, self.line(steps), _key(steps), value, allowed)


def read_text(path: Path) -> str:
    """The text of a file of policy.

    Raises:
        PolicyError: it cannot be read, is not UTF-8, or is too large.
    """
    try:
        size = path.stat().st_size
        if size > BYTES_MAX:
            raise PolicyError(f"{path}: {size} bytes, the limit is {BYTES_MAX}. {UNCHANGED}")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path}: cannot be read: {error}. {UNCHANGED}") from error


def read(path: Path, *, ours: bool = False) -> Document:
    """Read a file whose top is a mapping.

    `ours` is one that comes with Pointsman: nobody nested it so deeply that the parser, which is in C, crashes.

    Raises:
        PolicyError: it cannot be read, is not YAML, or is more than JSON can say.
    """
    text = read_text(path)
    try:
        if not ours:
            _check_nesting(text)
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
        if not isinstance(root, yaml.MappingNode):
            wanted = "must be a mapping of keys such as version, routes, agents"
            raise PolicyError(f"{path}:1: (file): {wanted}. {UNCHANGED}")
        return Document(path, _Reader(path).mapping(root, ()), root)
    except yaml.YAMLError as error:
        mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
        line = mark.line + 1 if mark is not None else 1
        raise PolicyError(f"{path}:{line}: is not YAML: {' '.join(str(error).split())}. {UNCHANGED}") from error
    except RecursionError as error:
        raise PolicyError(f"{path}:1: is nested too deeply. {UNCHANGED}") from error


def _check_nesting(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > NESTED_MAX:
            raise RecursionError


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._nodes = 0
        self._open: list[yaml.Node] = []
        self._scalars = yaml.SafeLoader("")

    def value(self, node: yaml.Node, steps: tuple[str | int, ...]) -> Json:
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise self._error(node, steps, None, f"more than {NODES_MAX} values, aliases resolved")
        if any(node is each for each in self._open):
            raise self._error(node, steps, None, "refers to itself")
        self._open.append(node)
        value = self._value(node, steps)
        self._open.pop()
        return value

    def _value(self, node: yaml.Node, steps: tuple[str | int, ...]) -> Json:
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, steps)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(each, (*steps, number)) for number, each in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode), "YAML has three kinds of nodes"
        return self._scalar(node, steps)

    def mapping(self, node: yaml.MappingNode, steps: tuple[str | int, ...]) -> dict[str, Json]:
        lines: dict[str, int] = {}
        content: dict[str, Json] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._error(key, steps, None, "a key must be text")
            name = str(key.value)
            if name in lines:
                where = f"{self._path}:{key.start_mark.line + 1}: {_key((*steps, name))}"
                raise PolicyError(f"{where}: is given twice, first in line {lines[name]}. {UNCHANGED}")
            lines[name] = key.start_mark.line + 1
            content[name] = self.value(value, (*steps, name))
        return content

    def _scalar(self, node: yaml.ScalarNode, steps: tuple[str | int, ...]) -> Json:
        text = str(node.value)
        try:
            match node.tag.rpartition(":")[2]:
                case "null":
                    return None
                case "bool":
                    return bool(self._scalars.construct_yaml_bool(node))
                case "int":
                    return int(self._scalars.construct_yaml_int(node))
                case "float":
                    number = float(self._scalars.construct_yaml_float(node))
                    return number if math.isfinite(number) else text
        except (ValueError, KeyError) as error:  # an explicit tag on a text that is none, such as `!!int x`
            raise self._error(node, steps, text, f"is no {node.tag}") from error
        return text

    def _error(self, node: yaml.Node, steps: Steps, value: Json, allowed: str) -> PolicyError:
        return PolicyError(_fault(self._path, node.start_mark.line + 1, _key(steps), value, allowed))


def _key(steps: Steps) -> str:
    return ".".join(map(str, steps)) or "(file)"


def _fault(path: Path, line: int, key: str, value: object, allowed: str) -> str:
    shown = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000).removesuffix("\n...\n")
    return f"{path}:{line}: {key}: {' '.join(shown.split())[:120]}: {allowed}. {UNCHANGED}"


def _entry(node: yaml.Node, step: str | int) -> tuple[int, yaml.Node] | None:
    """Line, counted from 0, and node of one entry."""
    if isinstance(node, yaml.MappingNode):
        pair = next(((key, value) for key, value in node.value if key.value == step), None)
        return None if pair is None else (pair[0].start_mark.line, pair[1])
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark.line, node.value[step]
    return None
