"""Read policy: our files, overlaid key by key with the user's, checked against the JSON Schema, hashed.

An error names file, line, key, value, and what is allowed.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from pointsman.contracts.base import Json
from pointsman.contracts.policy import Policy
from pointsman.policies.file import PolicyFile

OURS = Path(__file__).parent
POLICY_BYTES_MAX = 1_000_000


class PolicyError(ValueError):
    """The policy cannot be used. The text names file, line, key, value and what is allowed."""


@dataclass(frozen=True)
class LoadedPolicy:
    """`policy` as workflows get it; `prompts` are content hash to text, to be put into the store."""

    policy: Policy
    prompts: Mapping[str, str]
    files: tuple[Path, ...]


@dataclass(frozen=True)
class _Document:
    path: Path
    content: dict[str, Json]
    root: yaml.MappingNode


def schema() -> dict[str, Json]:
    """JSON Schema of `policy.yaml`, for editors and for us."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **PolicyFile.model_json_schema()}


def load(folder: Path | None = None) -> LoadedPolicy:
    """Read `policy.yaml` and `prompts/*.md` of ours and of `folder`.

    Raises:
        PolicyError: a file cannot be read, breaks the schema, or names what does not exist.
    """
    documents = [_read(OURS / "policy.yaml")]
    if folder is not None:
        documents.append(_read(folder / "policy.yaml"))
    for document in documents:
        _check(document, partial=document is not documents[0])
    content = {key: value for document in documents for key, value in document.content.items()}
    file = PolicyFile.model_validate(content)
    _check_names(file, documents)
    prompts = _prompts(file, [*([folder] if folder else []), OURS], documents)
    return LoadedPolicy(_policy(file, prompts), {_digest(text): text for text in prompts.values()}, _paths(documents))


def _paths(documents: Sequence[_Document]) -> tuple[Path, ...]:
    return tuple(document.path for document in documents)


def _read(path: Path) -> _Document:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path}: cannot be read: {error}. Nothing was loaded.") from error
    if len(text) > POLICY_BYTES_MAX:
        raise PolicyError(f"{path}: {len(text)} characters, the limit is {POLICY_BYTES_MAX}. Nothing was loaded.")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise PolicyError(f"{path}: is not YAML: {' '.join(str(error).split())}. Nothing was loaded.") from error
    if not isinstance(root, yaml.MappingNode) or not isinstance(content, dict):
        raise PolicyError(f"{path}:1: must be a mapping of keys such as version, routes, agents. Nothing was loaded.")
    # YAML knows dates and other types that JSON does not; as text they get the schema's own error.
    return _Document(path, json.loads(json.dumps(content, default=str)), root)


def _check(document: _Document, *, partial: bool) -> None:
    rules = schema()
    if partial:
        rules.pop("required", None)  # the user's file says only what differs
    faults = sorted(Draft202012Validator(rules).iter_errors(document.content), key=lambda one: list(map(str, one.path)))
    if faults:
        raise PolicyError("\n".join(_explain(document, fault) for fault in faults[:10]))


def _explain(document: _Document, fault: ValidationError) -> str:
    path = list(fault.absolute_path)
    value = json.dumps(fault.instance, ensure_ascii=False)[:120]
    if fault.validator == "additionalProperties" and isinstance(fault.instance, dict):
        known = list(fault.schema["properties"]) if isinstance(fault.schema, Mapping) else []
        unknown = next(key for key in fault.instance if key not in known)
        return _fault(document, [*path, unknown], json.dumps(unknown), f"unknown key; allowed: {', '.join(known)}")
    return _fault(document, path, value, fault.message[:300])


def _fault(document: _Document, path: Sequence[str | int], value: str, allowed: str) -> str:
    key = ".".join(map(str, path)) or "(file)"
    return f"{document.path}:{_line(document.root, path)}: {key}: {value}: {allowed}. Nothing was loaded."


def _line(node: yaml.Node, path: Sequence[str | int]) -> int:
    """Line of the node at `path`, counted from 1; of the deepest one that exists."""
    line = node.start_mark.line
    for step in path:
        found: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            pair = next(((key, value) for key, value in node.value if key.value == step), None)
            if pair is not None:
                line, found = pair[0].start_mark.line, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            found = node.value[step]
            line = found.start_mark.line
        if found is None:
            break
        node = found
    return int(line) + 1


def _check_names(file: PolicyFile, documents: Sequence[_Document]) -> None:
    """Names that rules refer to must exist, and be given once."""
    agents = [agent.name for agent in file.agents]
    servers = [server.name for server in file.tool_servers]
    _once("agents", agents, documents)
    _once("tool_servers", servers, documents)
    _once("ladders", [ladder.severity for ladder in file.ladders], documents, "severity")
    for number, route in enumerate(file.routes):
        if route.agent not in agents:
            _refuse(documents, ["routes", number, "agent"], route.agent, f"must be one of: {', '.join(agents)}")
    for number, server in enumerate(file.tool_servers):
        if bool(server.command) == bool(server.url):
            _refuse(documents, ["tool_servers", number], server.name, "needs either command or url")
    for number, agent in enumerate(file.agents):
        for place, tool in enumerate(agent.tools):
            if tool.split("/")[0] not in servers:
                where: list[str | int] = ["agents", number, "tools", place]
                _refuse(documents, where, tool, f"must name a tool server of: {', '.join(servers) or '(none)'}")


def _once(key: str, names: Sequence[str], documents: Sequence[_Document], field: str = "name") -> None:
    for number, name in enumerate(names):
        if name in names[:number]:
            _refuse(documents, [key, number, field], name, "is given twice")


def _refuse(documents: Sequence[_Document], path: Sequence[str | int], value: str, allowed: str) -> None:
    owner = next(document for document in reversed(documents) if path[0] in document.content)
    raise PolicyError(_fault(owner, path, json.dumps(value), allowed))


def _prompts(file: PolicyFile, folders: Sequence[Path], documents: Sequence[_Document]) -> dict[str, str]:
    """Prompt name to text: the user's where there is one, else ours."""
    found: dict[str, str] = {}
    for number, agent in enumerate(file.agents):
        paths = [folder / "prompts" / f"{agent.prompt}.md" for folder in folders]
        path = next((path for path in paths if path.is_file()), None)
        if path is None:
            looked = ", ".join(map(str, paths))
            _refuse(documents, ["agents", number, "prompt"], agent.prompt, f"no such file; looked for {looked}")
        else:
            found[agent.prompt] = path.read_text(encoding="utf-8").strip()
    return found


def _policy(file: PolicyFile, prompts: Mapping[str, str]) -> Policy:
    content = file.model_dump()
    for agent in content["agents"]:
        agent["prompt"] = _digest(prompts[agent["prompt"]])
    policy = Policy.model_validate(content)
    canonical = json.dumps(policy.model_dump(mode="json", exclude={"hash"}), sort_keys=True, separators=(",", ":"))
    return policy.model_copy(update={"hash": _digest(canonical)})


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
