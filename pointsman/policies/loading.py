"""Read policy: our files, overlaid key by key with the user's, checked against the JSON Schema, hashed.

An error names file, line, key, value, and what is allowed.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import NoReturn, TypeVar

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from pydantic import BaseModel
from pydantic import ValidationError as ContractError

from pointsman.contracts.base import Json
from pointsman.contracts.models import PROVIDERS
from pointsman.contracts.policy import Policy
from pointsman.contracts.sync import FieldKind, FieldStrategy
from pointsman.domain.hook_events import KNOWN, PROJECT
from pointsman.domain.sync.kinds import kind_of
from pointsman.policies.card_keys import is_address, read_keys
from pointsman.policies.document import Document, PolicyError, Steps, read, read_text
from pointsman.policies.file import NEVER, FileAgent, FileAgentService, PolicyFile
from pointsman.policies.process_rules import load_processes

__all__ = ["LoadedPolicy", "PolicyError", "load", "schema"]

OURS = Path(__file__).parent
IN_THE_CLEAR = "must be https://, but for this machine itself"
LOOPBACK = re.compile(r"http://(localhost|127\.\d+\.\d+\.\d+|\[::1\])([:/]|$)")
TYPES = {"string": "text", "object": "a mapping", "array": "a list", "integer": "a whole number", "null": "empty"}
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class LoadedPolicy:
    """`policy` as workflows get it; `prompts` are content hash to text, to be put into the store."""

    policy: Policy
    prompts: Mapping[str, str]
    files: tuple[Path, ...]


def schema() -> dict[str, Json]:
    """JSON Schema of `policy.yaml`, for editors and for us."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_rules()}


@cache
def _rules() -> dict[str, Json]:
    return PolicyFile.model_json_schema()


def load(folder: Path | None = None) -> LoadedPolicy:
    """Read `policy.yaml` and `prompts/*.md` of ours and of `folder`.

    Raises:
        PolicyError: a file cannot be read, breaks the schema, or names what does not exist.
    """
    documents = [_ours()]
    if folder is not None:
        documents.append(read(folder / "policy.yaml"))
        _check(documents[1], partial=True)
    content: dict[str, Json] = {key: value for document in documents for key, value in document.content.items()}
    file = _validated(PolicyFile, content, documents)
    _check_names(file, documents)
    _check_references(file, documents)
    _check_models(file, documents)
    _check_hooks(file, documents)
    _check_sync(file, documents)
    _check_processes(file, folder, documents)
    prompts = _prompts(file, [*([folder] if folder else []), OURS], documents)
    policy = _policy(file, prompts, _card_keys(file, folder, documents), documents)
    files = tuple(document.path for document in documents)
    return LoadedPolicy(policy, {_digest(text): text for text in prompts.values()}, files)


@cache
def _ours() -> Document:
    document = read(OURS / "policy.yaml", ours=True)
    _check(document, partial=False)
    return document


def _check(document: Document, *, partial: bool) -> None:
    faults = list(_validator(partial=partial).iter_errors(document.content))
    faults.sort(key=lambda fault: document.line(list(fault.absolute_path)))
    if faults:
        raise PolicyError("\n".join(_explain(document, fault) for fault in faults[:10]))


@cache
def _validator(*, partial: bool) -> Draft202012Validator:
    rules = schema()
    if partial:
        rules.pop("required", None)  # the user's file says only what differs
    return Draft202012Validator(rules)


def _explain(document: Document, fault: ValidationError) -> str:
    path = list(fault.absolute_path)
    if fault.validator == "additionalProperties" and isinstance(fault.instance, dict):
        known = list(fault.schema["properties"]) if isinstance(fault.schema, Mapping) else []
        unknown = next(key for key in fault.instance if key not in known)
        # What stands there may be a key that was put into a wrong place.
        value = "(not shown)" if path[:1] == ["models"] or path[-1:] == ["service"] else fault.instance[unknown]
        return document.fault([*path, unknown], value, f"unknown key; allowed: {', '.join(known)}")
    may_be_one = path[-1:] == ["key"] or path[-2:] == ["service", "url"]
    shown = "(not shown)" if path[:1] in (["models"], ["agents"]) and may_be_one else fault.instance
    return document.fault(path, shown, _allowed(fault))


def _allowed(fault: ValidationError) -> str:
    """What the rule that was broken allows."""
    wanted = fault.validator_value
    match fault.validator:
        case "type" if wanted == "string" and isinstance(fault.instance, int | float):
            return "must be text: put it into quotation marks"
        case "type":
            return f"must be {TYPES.get(str(wanted), f'a {wanted}')}"
        case "enum" if isinstance(wanted, list):
            return f"must be one of: {', '.join(map(str, wanted))}"
        case "anyOf":
            return " or ".join(_allowed(one) for one in fault.context or ())
        case "pattern":
            said = fault.schema.get("description") if isinstance(fault.schema, Mapping) else None
            return f"must be {said}" if said else f"must match {wanted}"
        case "minItems" | "minLength":
            return "must not be empty"
        case "maxItems":
            return f"must have at most {wanted} entries"
    return fault.message[-300:]  # the rule stands at the end, after the value


def _validated(model: type[Model], content: Mapping[str, object], documents: Sequence[Document]) -> Model:
    """What JSON Schema cannot say is checked by the models."""
    try:
        return model.model_validate(content)
    except ContractError as error:
        fault = error.errors(include_url=False)[0]
        _refuse(documents, list(fault["loc"]), str(fault["input"]), fault["msg"])


def _check_names(file: PolicyFile, documents: Sequence[Document]) -> None:
    """What is found by its name has it once."""
    _once("tenants", [tenant.name for tenant in file.tenants], documents)
    _once("scope", [rule.name for rule in file.scope], documents)
    _once("routes", [route.name for route in file.routes], documents)
    _once("agents", [agent.name for agent in file.agents], documents)
    _once("tool_servers", [server.name for server in file.tool_servers], documents)
    _once("ladders", [ladder.severity for ladder in file.ladders], documents, "severity")
    owners: dict[str, str] = {}
    for number, tenant in enumerate(file.tenants):
        for place, organisation in enumerate(tenant.organisations):
            owner = owners.setdefault(organisation.casefold(), tenant.name)
            if owner != tenant.name:
                where: list[str | int] = ["tenants", number, "organisations", place]
                _refuse(documents, where, organisation, f"belongs to tenant {owner} already")


def _once(key: str, names: Sequence[str], documents: Sequence[Document], field: str = "name") -> None:
    for number, name in enumerate(names):
        if name in names[:number]:
            _refuse(documents, [key, number, field], str(name), "is given twice")


def _check_references(file: PolicyFile, documents: Sequence[Document]) -> None:
    """What rules refer to exists."""
    agents = [agent.name for agent in file.agents]
    for number, route in enumerate(file.routes):
        if route.agent not in agents:
            _refuse(documents, ["routes", number, "agent"], route.agent, f"must be one of: {', '.join(agents)}")
    for number, server in enumerate(file.tool_servers):
        if bool(server.command) == bool(server.url):
            _refuse(documents, ["tool_servers", number], server.name, "needs either command or url")
    servers = [server.name for server in file.tool_servers]
    for number, agent in enumerate(file.agents):
        if agent.service is not None:
            _check_service(agent, agent.service, number, documents)
        for place, tool in enumerate(agent.tools):
            if tool.split("/")[0] not in servers:
                allowed = f"must name a tool server of: {', '.join(servers) or '(none)'}"
                _refuse(documents, ["agents", number, "tools", place], tool, allowed)
        for place, field in enumerate(agent.needs_approval):
            if field not in agent.may_change:
                # Spelled otherwise, an approval would be asked for nothing, and the field written without one.
                allowed = f"must be a field of may_change: {', '.join(agent.may_change) or '(none)'}"
                _refuse(documents, ["agents", number, "needs_approval", place], field, allowed)


def _check_service(agent: FileAgent, service: FileAgentService, number: int, documents: Sequence[Document]) -> None:
    """An agent is a service, or works with what we give it; and its credential is sent in the clear to nobody."""
    where: Steps = ["agents", number]
    ours = [name for name in ("model", "prompt", "tools") if getattr(agent, name)]
    if ours:
        _refuse(documents, where, agent.name, f"is a service, which works without our {' and '.join(ours)}")
    if service.url.startswith("http://") and not LOOPBACK.match(service.url):
        _refuse(documents, [*where, "service", "url"], service.url, IN_THE_CLEAR)
    if service.signed_by.startswith("http://") and not LOOPBACK.match(service.signed_by):
        _refuse(documents, [*where, "service", "signed_by"], service.signed_by, IN_THE_CLEAR)


def _check_models(file: PolicyFile, documents: Sequence[Document]) -> None:
    """Providers that policy of models speaks of exist, and a server does not take the name of one."""
    models = file.models
    servers = [house.name for house in models.servers]
    for number, name in enumerate(servers):
        if name in PROVIDERS or name in servers[:number]:
            _refuse(documents, ["models", "servers", number, "name"], name, "is the name of another provider")
    known = (*PROVIDERS, *servers)
    named: list[tuple[Steps, str]] = [(["models", "prefer", number], one) for number, one in enumerate(models.prefer)]
    named += [(["models", "rates", number, "provider"], one.provider) for number, one in enumerate(models.rates)]
    named += [(["models", "keys", number, "provider"], one.provider) for number, one in enumerate(models.keys)]
    for steps, name in named:
        if name not in known:
            _refuse(documents, steps, name, f"must be one of: {', '.join(known)}")


def _check_hooks(file: PolicyFile, documents: Sequence[Document]) -> None:
    """Events that subscriptions name exist, and can be filtered so."""
    for number, rule in enumerate(file.hooks.subscriptions):
        where: list[str | int] = ["hooks", "subscriptions", number]
        if rule.name in [one.name for one in file.hooks.subscriptions[:number]]:
            _refuse(documents, [*where, "name"], rule.name, "is given twice")
        for place, event in enumerate(rule.events):
            if event not in KNOWN:
                _refuse(documents, [*where, "events", place], event, f"must be one of: {', '.join(KNOWN)}")
        for name in rule.filters:
            for event in rule.events:
                allowed = [one for one in KNOWN[event].filters if one != PROJECT]
                if name not in allowed:
                    told = f"{event} can be filtered by: {', '.join(allowed) or '(nothing but projects)'}"
                    _refuse(documents, [*where, "filters", name], name, told)


def _check_sync(file: PolicyFile, documents: Sequence[Document]) -> None:
    """What agents propose is added to tags and links, whatever is there: no other strategy would ever be asked."""
    kinds: list[tuple[Steps, FieldKind, FieldStrategy]] = [
        (["sync", "kinds", kind.value], kind, strategy) for kind, strategy in file.sync.kinds.items()
    ]
    # What a field holds is known by its name alone for tags.
    kinds += [(["sync", "fields", name], kind_of(name), strategy) for name, strategy in file.sync.fields.items()]
    for steps, kind, strategy in kinds:
        is_list = kind in (FieldKind.TAGS, FieldKind.LINKS)
        if is_list and strategy is not FieldStrategy.UNION:
            _refuse(documents, steps, strategy.value, "must be union: tags and links are only added to")
        if not is_list and strategy is FieldStrategy.UNION:
            _refuse(documents, steps, strategy.value, "is of tags and links alone")


def _check_processes(file: PolicyFile, folder: Path | None, documents: Sequence[Document]) -> None:
    """Rules that projects are checked by exist. Files of rules are read only where policy names any."""
    known = load_processes(folder) if file.process.projects else {}
    for number, one in enumerate(file.process.projects):
        if one.process not in known:
            where: Steps = ["process", "projects", number, "process"]
            _refuse(documents, where, one.process, f"must be one of: {', '.join(sorted(known))}")


def _refuse(documents: Sequence[Document], steps: Steps, value: str, allowed: str) -> NoReturn:
    owner = next((document for document in reversed(documents) if steps and steps[0] in document.content), documents[0])
    if owner is not documents[-1]:
        # A key of the user's file replaces ours as a whole, and may take away what another key of ours refers to.
        allowed = f"{allowed}; to change it, give {steps[0] if steps else 'it'} in {documents[-1].path} too"
    raise PolicyError(owner.fault(steps, value, allowed))


def _prompts(file: PolicyFile, folders: Sequence[Path], documents: Sequence[Document]) -> dict[str, str]:
    """Prompt name to text: the user's where there is one, else ours."""
    found: dict[str, str] = {}
    for number, agent in enumerate(file.agents):
        paths = [folder / "prompts" / f"{agent.prompt}.md" for folder in folders]
        path = next((path for path in paths if path.exists()), None)
        where: list[str | int] = ["agents", number, "prompt"]
        if agent.service is not None:
            continue
        if path is None:
            _refuse(documents, where, agent.prompt, f"no such file; looked for {', '.join(map(str, paths))}")
        text = read_text(path).strip()
        if not text:
            _refuse(documents, where, agent.prompt, f"{path} is empty")
        found[agent.prompt] = text
    return found


def _card_keys(file: PolicyFile, folder: Path | None, documents: Sequence[Document]) -> dict[str, str]:
    """Name of an agent to the keys of its service's card, where they stand in a file."""
    found: dict[str, str] = {}
    for number, agent in enumerate(file.agents):
        named = agent.service.signed_by if agent.service else ""
        if named and not is_address(named):
            try:
                found[agent.name] = read_keys((folder or OURS) / named)
            except (PolicyError, ValueError) as error:
                _refuse(documents, ["agents", number, "service", "signed_by"], named, str(error))
    return found


def _policy(
    file: PolicyFile, prompts: Mapping[str, str], card_keys: Mapping[str, str], documents: Sequence[Document]
) -> Policy:
    content = file.model_dump()
    for agent in content["agents"]:
        agent["prompt"] = _digest(prompts[agent["prompt"]]) if agent["prompt"] else ""
        if agent["service"]:
            agent["service"]["card_keys"] = card_keys.get(agent["name"], "")
    if content["process"]["every"] == NEVER:
        content["process"]["every"] = timedelta()
    policy = _validated(Policy, content, documents)
    canonical = json.dumps(policy.model_dump(mode="json", exclude={"hash"}), sort_keys=True, separators=(",", ":"))
    return policy.model_copy(update={"hash": _digest(canonical)})


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
