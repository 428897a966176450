"""Microsoft's own payloads of service hooks. They are not ours to carry, so tests of them need the folder."""

import os
from pathlib import Path

import pytest


def documented() -> list[object]:
    """A parameter for each file; without the setting one that is skipped, because our own payloads hold every shape."""
    folder = os.environ.get("POINTSMAN_AZURE_SPECS", "")
    if not folder:
        unset = pytest.mark.skip(reason="POINTSMAN_AZURE_SPECS is not set: it names the folder with `payloads/`")
        return [pytest.param(Path(), marks=unset, id="none")]
    return [pytest.param(file, id=file.stem) for file in sorted((Path(folder) / "payloads").glob("*.json"))]
