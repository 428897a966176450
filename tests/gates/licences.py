"""Refuse installed packages whose licence would bind what is built with this project: `python -m tests.gates.licences`.

Weak copyleft that binds only changes of the package itself (MPL) is fine. Everything else beyond the permissive
licences needs an entry in `EXCEPTIONS`, with the licence as it is declared and the reason.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

PERMISSIVE = frozenset(
    """0BSD, 3-Clause BSD License, Apache License 2.0, Apache Software License, Apache-2.0, BSD License, BSD-2-Clause,
    BSD-3-Clause, BlueOak-1.0.0, CC0-1.0, ISC, ISC License (ISCL), MIT, MIT License, MIT-0, MPL-2.0,
    Mozilla Public License 2.0 (MPL 2.0), PSF-2.0, Python Software Foundation License, Python-2.0, Unlicense,
    Zlib""".replace("\n    ", " ").split(", ")
)
EXCEPTIONS = {
    "psycopg": ("LGPL-3.0-only", "used unchanged, as a library of its own that anybody can replace"),
    "psycopg-binary": ("LGPL-3.0-only", "used unchanged, as a library of its own that anybody can replace"),
    "mistralai": ("UNKNOWN", "its licence file is that of Apache, version 2.0"),
    "axe-playwright-python": ("UNKNOWN", "its licence file says MIT; development only"),
}
OURS = "pointsman"


def refused(packages: Iterable[tuple[str, str]]) -> list[str]:
    """A line for each (package, licence) that may not be installed."""
    return [
        f"{name}: {licence!r} is no licence that this project may build on"
        for name, licence in packages
        if name.lower() != OURS and not _permitted(licence) and EXCEPTIONS.get(name.lower(), ("",))[0] != licence
    ]


def _permitted(licence: str) -> bool:
    """Each part of `A AND B` or `A; B` must be permissive, and one part of `A OR B`."""
    demands = re.split(r"\s+AND\s+|;\s*", licence)
    return all(any(choice.strip() in PERMISSIVE for choice in demand.split(" OR ")) for demand in demands)


def installed() -> list[tuple[str, str]]:
    command = [str(Path(sys.executable).with_name("pip-licenses")), "--from=mixed", "--format=json", "--with-system"]
    listed = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return [(row["Name"], row["License"]) for row in listed]


def main() -> int:
    packages = installed()
    lines = refused(packages)
    print("\n".join(lines) or f"licences: {len(packages)} packages, all permitted")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
