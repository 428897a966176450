"""Generated pages are what the code says now, links and pictures lead somewhere, and the site builds strictly."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from jsonschema import Draft202012Validator

from pointsman.config import Settings, variable
from pointsman.policies.loading import OURS
from tests.docs.blocks import pages
from tests.docs.reference import GENERATED, ROOT

DOCS = ROOT / "docs"
LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")


@pytest.mark.parametrize("name", GENERATED)
def test_page_is_what_the_code_says(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == GENERATED[name](), "run: python -m tests.docs.reference"


def test_reference_names_every_setting() -> None:
    page = GENERATED["docs/reference/configuration.md"]()
    assert [name for name in Settings.model_fields if name != "origins" and f"`{variable(name)}`" not in page] == []


def test_schema_holds_for_our_own_policy_and_refuses_a_misspelt_key() -> None:
    schema = json.loads((DOCS / "schema" / "policy.schema.json").read_text(encoding="utf-8"))
    ours = yaml.safe_load((OURS / "policy.yaml").read_text(encoding="utf-8"))
    assert Draft202012Validator(schema).is_valid(ours)
    assert not Draft202012Validator(schema).is_valid({**ours, "rutes": []})


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as the site makes them."""
    text = re.sub(r"^(`{3,}).*?^\1`*$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}


def test_links_lead_somewhere() -> None:
    broken = []
    for page in pages():
        for found in LINK.finditer(page.read_text(encoding="utf-8")):
            target, _, anchor = found["target"].partition("#")
            if target.startswith(("http://", "https://", "mailto:")):
                continue
            path = (page.parent / target) if target else page
            if not path.exists() or (anchor and anchor not in anchors(path)):
                broken.append(f"{page.relative_to(ROOT)}: {found['target']}")
    assert broken == []


def test_every_page_is_in_the_navigation() -> None:
    def named(entries: object) -> set[str]:
        if isinstance(entries, str):
            return {entries}
        if isinstance(entries, list):
            return set().union(*(named(entry) for entry in entries))
        return set().union(*(named(entry) for entry in entries.values())) if isinstance(entries, dict) else set()

    listed = named(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])
    assert listed == {str(page.relative_to(DOCS)) for page in pages() if page.is_relative_to(DOCS)}


@pytest.mark.parametrize("picture", sorted((DOCS / "images").glob("*.svg")), ids=lambda path: path.name)
def test_picture_is_described_and_fits_light_and_dark(picture: Path) -> None:
    text = picture.read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)  # noqa: S314 - the file is ours
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert {"title", "desc"} <= names
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"(href|src)=\"http|url\(http", text)


@pytest.mark.slow
def test_site_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    shutil.copytree(DOCS, tmp_path / "docs")  # its own place to build in, beside tests that run at the same time
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    zensical = Path(sys.executable).parent / "zensical"
    built = subprocess.run(
        [zensical, "build", "--clean", "--strict"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    page = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert not re.findall(r"<(?:script|img|iframe)[^>]+src=\"(https?://[^\"]+)", page)
    assert not re.findall(r"<link[^>]+rel=\"(?:stylesheet|preconnect|preload)\"[^>]+href=\"(https?://[^\"]+)", page)
