"""The compose file as tests look at it: raw, filled in, and through the specification's own loader."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import yaml

from pointsman.contracts.base import Json

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.temporal.yml"
TEMPLATE = ROOT / ".env.example"

# The reference implementation of the Compose specification; it carries the JSON Schema and a program that loads files.
MODULE = "github.com/compose-spec/compose-go/v2"
VERSION = "v2.16.2"
GO_SECONDS = 300  # a cold build takes half a minute on two idle cores

# ${NAME}, ${NAME:-default}, ${NAME:?message}: the forms that our file uses.
VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>[A-Z][A-Z0-9_]*)(?::(?P<form>[-?])(?P<text>[^}]*))?\}")


class Reference(NamedTuple):
    name: str
    default: str
    required: bool
    message: str


def go(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the Go toolchain.

    Raises:
        AssertionError: there is none: these tests need it, and do not pass without.
    """
    program = shutil.which("go")
    assert program, "checking the compose file needs Go (1.24 or newer) on PATH: install it and run the tests again"
    return subprocess.run(
        [program, *arguments], cwd=cwd, env=env, capture_output=True, text=True, timeout=GO_SECONDS, check=False
    )


def schema(cwd: Path) -> dict[str, Json]:
    """The specification's JSON Schema, from the module cache."""
    told = go("mod", "download", "-json", f"{MODULE}@{VERSION}", cwd=cwd)
    assert told.returncode == 0, f"go could not fetch {MODULE} {VERSION}: {told.stdout}{told.stderr}"
    path = Path(json.loads(told.stdout)["Dir"]) / "schema" / "compose-spec.json"
    found: dict[str, Json] = json.loads(path.read_text(encoding="utf-8"))
    return found


def load_by_specification(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Load a file with the reference implementation: schema, merges, references between sections, dependency cycles.

    Its program hands no environment to the loader, so variables with neither value nor default stay unset.
    """
    (folder / "compose.yml").write_text(text, encoding="utf-8")
    return go("run", f"{MODULE}/cmd@{VERSION}", "-format", "json", "compose.yml", cwd=folder, env=dict(os.environ))


def references(text: str) -> list[Reference]:
    """Every variable that the file refers to, in order, comments left out."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return [
        Reference(
            found["name"],
            default=found["text"] if found["form"] == "-" else "",
            required=found["form"] == "?",
            message=found["text"] if found["form"] == "?" else "",
        )
        for found in VARIABLE.finditer("\n".join(lines))
    ]


def filled_in(text: str, values: Mapping[str, str]) -> str:
    """The file with its variables replaced, as `docker compose` does it: an empty value counts as none."""

    def value(found: re.Match[str]) -> str:
        given = values.get(found["name"], "")
        default = found["text"] if found["form"] == "-" else ""
        assert given or found["form"] != "?", f"{found['name']} is required: {found['text']}"
        return given or default

    return VARIABLE.sub(value, text)


def template() -> dict[str, str]:
    """Names and values of the committed template."""
    lines = (line.strip() for line in TEMPLATE.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def answers() -> dict[str, str]:
    """The template as somebody fills it in."""
    given = {
        "POSTGRES_PASSWORD": "a" * 24,
        "TEMPORAL_DB_PASSWORD": "b" * 24,
        "STORE_DB_PASSWORD": "c" * 24,
        "POINTSMAN_AZURE_DEVOPS_URL": "https://dev.azure.com/fabrikam",
        "POINTSMAN_AZURE_DEVOPS_TOKEN": "d" * 24,
        "POINTSMAN_WEBHOOK_SECRETS": f"{'e' * 24},{'f' * 24}",
        "POINTSMAN_OPENAI_API_KEY": "g" * 24,
    }
    return {**template(), **given}


def services() -> dict[str, dict[str, Json]]:
    """Services after variables and YAML merges."""
    content = yaml.safe_load(filled_in(FILE.read_text(encoding="utf-8"), answers()))
    found: dict[str, dict[str, Json]] = content["services"]
    return found


def environment(service: Mapping[str, Json]) -> dict[str, str]:
    given = service.get("environment", {})
    assert isinstance(given, dict), "the file writes every environment as a mapping"
    # A variable without a value leaves the key empty, which is YAML for nothing and Compose's for an empty text.
    return {name: "" if value is None else str(value) for name, value in given.items()}


def listed(service: Mapping[str, Json], key: str) -> list[str]:
    """A list of texts of a service, empty where the key is missing."""
    given = service.get(key, [])
    assert isinstance(given, list), f"the file writes every {key} as a list"
    return [str(one) for one in given]
