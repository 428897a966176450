"""Keep the fields of all contracts in `fields.json`: `python -m tests.contracts.snapshot`.

Run it after a contract gained a field, and commit both. It refuses to record what would break old histories.
"""

import json
import sys
from pathlib import Path

from tests.contracts.shapes import Shapes, breaches, current

FILE = Path(__file__).with_name("fields.json")
COMMAND = "python -m tests.contracts.snapshot"


def recorded(file: Path = FILE) -> Shapes:
    shapes: Shapes = json.loads(file.read_text(encoding="utf-8"))
    return shapes


def main(file: Path = FILE) -> int:
    """Write the snapshot. 0 when it is written, 1 when contracts lost or changed something and nothing is."""
    after = current()
    found = breaches(recorded(file), after) if file.exists() else []
    for fault in found:
        print(f"{fault}: contracts only gain fields with defaults", file=sys.stderr)
    if found:
        print(
            f"{file} stays as it is. Undo these changes; what a field should become is a field of its own.",
            file=sys.stderr,
        )
        return 1
    file.write_text(json.dumps(after, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{file}: {len(after)} contracts, {sum(map(len, after.values()))} fields and values")
    return 0


if __name__ == "__main__":
    sys.exit(main())
