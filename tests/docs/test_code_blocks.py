"""Every code block of README and documentation says how it is known to be right, and those that can run do."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

import pytest
import yaml

from pointsman.config import PREFIX
from pointsman.policies import loading
from tests.docs.blocks import ROOT, RUNNABLE, Block, blocks, pages
from tests.preloaded import Preloaded

BLOCKS = [block for page in pages() for block in blocks(page)]
RUN = [block for block in BLOCKS if block.how == "run"]
BLOCK_SECONDS = 300
REASON_CHARS_MIN = 15


def groups() -> list[tuple[str, list[Block]]]:
    def name(block: Block) -> str:
        return f"{block.page.relative_to(ROOT)}: {block.what}"

    return [(key, list(found)) for key, found in groupby(sorted(RUN, key=lambda one: (name(one), one.line)), key=name)]


GROUPS = groups()
TESTS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)
def test_block_says_how_it_is_known_to_be_right(block: Block) -> None:
    assert block.how, (
        f"{block.place}: put <!-- run: ... -->, <!-- not run: ... --> or <!-- tested by: ... --> before it"
    )
    if block.how == "run":
        assert block.language in RUNNABLE, f"{block.place}: {block.language!r} cannot be run here"
    if block.how == "not run":
        assert len(block.what) >= REASON_CHARS_MIN, f"{block.place}: {block.what!r} is no reason"


def test_tests_that_blocks_lean_on_exist() -> None:
    missing = [block.place for block in BLOCKS if block.how == "tested by" and not exists(block.what)]
    assert missing == []


def exists(test: str) -> bool:
    """Whether there is a test `FILE::NAME`, or a script `FILE` with the line `NAME`."""
    file, _, name = test.partition("::")
    if not (ROOT / file).is_file():
        return False
    if not file.endswith(".py"):
        return name in (ROOT / file).read_text(encoding="utf-8").splitlines()
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return name in {node.name for node in ast.walk(tree) if isinstance(node, TESTS)}


def test_test_that_does_not_exist_is_found() -> None:
    here = str(Path(__file__).relative_to(ROOT))
    assert exists(f"{here}::test_test_that_does_not_exist_is_found")
    assert not exists(f"{here}::test_nothing")
    assert not exists("tests/nowhere.py::test_nothing")
    assert exists(".ci/run::make test")
    assert not exists(".ci/run::make nothing")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "found"), GROUPS, ids=[name for name, _ in GROUPS])
def test_blocks_run(name: str, found: list[Block], tmp_path: Path, preloaded: Preloaded) -> None:
    run_all(found, tmp_path, preloaded)


def run_all(found: Iterable[Block], folder: Path, preloaded: Preloaded) -> None:
    """Run blocks one after another in a fresh home and working folder."""
    (folder / "home").mkdir()
    (folder / "here").mkdir()
    for block in found:
        match block.language:
            case "bash":
                run_program(block, folder, preloaded, ["bash", "-euo", "pipefail", "-c", block.text])
            case "python":
                run_program(block, folder, preloaded, [str(preloaded.python), "-c", block.text])
            case "json":
                json.loads(block.text)
            case _:
                load_policy(block, folder)


def run_program(block: Block, folder: Path, preloaded: Preloaded, command: list[str]) -> None:
    """With our programs as they are installed, but for `pointsman` and `python`, which skip their imports."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith((PREFIX, "XDG_", "TEMPORAL_"))}
    env = {
        **kept,
        "HOME": str(folder / "home"),
        "USER": "ada",
        "PATH": os.pathsep.join([str(preloaded.folder), str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    done = subprocess.run(
        command, cwd=folder / "here", env=env, capture_output=True, text=True, timeout=BLOCK_SECONDS, check=False
    )
    assert done.returncode == 0, f"{block.place}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"


def load_policy(block: Block, folder: Path) -> None:
    """A YAML block is policy, and must be usable as somebody's own folder, with prompts of the names that it uses."""
    (folder / "here" / "policy.yaml").write_text(block.text, encoding="utf-8")
    prompts = folder / "here" / "prompts"
    prompts.mkdir(exist_ok=True)
    for agent in yaml.safe_load(block.text).get("agents", []):
        if "prompt" in agent:
            (prompts / f"{agent['prompt']}.md").write_text("You look at a work item.", encoding="utf-8")
    loading.load(folder / "here")


def test_block_without_its_comment_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Text\n\n```bash\nexit 1\n```\n\n<!-- run: it -->\n\n````yaml\nx: 1\n```\n````\n", encoding="utf-8")
    found = list(blocks(page))
    assert [(block.language, block.how, block.text) for block in found] == [
        ("bash", "", "exit 1\n"),
        ("yaml", "run", "x: 1\n```\n"),
    ]


@pytest.mark.parametrize(
    ("language", "text"),
    [("bash", "false\n"), ("python", "raise SystemExit(1)\n"), ("json", "{,}\n"), ("yaml", "agent: triage\n")],
)
def test_block_that_is_wrong_is_found(language: str, text: str, tmp_path: Path, preloaded: Preloaded) -> None:
    with pytest.raises((AssertionError, ValueError)):
        run_all([Block(ROOT / "README.md", 1, language, text, "run", "it")], tmp_path, preloaded)


def test_most_blocks_that_can_run_do() -> None:
    can = [block for block in BLOCKS if block.language in RUNNABLE]
    assert can
    assert RUN
