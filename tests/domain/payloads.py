"""Microsoft's own payloads of service hooks. They are not ours to carry, so tests of them need the folder."""

from pathlib import Path

import pytest

from tests.microsoft import FOLDER, WHY_NOT


def documented() -> list[object]:
    """A parameter for each file; without the setting one that is skipped, because our own payloads hold every shape."""
    folder = FOLDER
    if not folder:
        unset = pytest.mark.skip(reason=WHY_NOT)
        return [pytest.param(Path(), marks=unset, id="none")]
    return [pytest.param(file, id=file.stem) for file in sorted((Path(folder) / "payloads").glob("*.json"))]
