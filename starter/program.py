"""What a person must type to run a program that this process knows by its file."""

import os
import shlex
import shutil
import sys
from pathlib import Path


def typed(program: Path) -> str:
    """The program's name where a shell finds this very file by it, else its path, as short as it can be."""
    found = shutil.which(program.name)
    if found is not None and Path(found).resolve() == program.resolve():
        return program.name
    nearby = os.path.relpath(program)
    if nearby.startswith(".."):
        return shlex.quote(str(program))
    # Without a slash a shell would search its path for it.
    return shlex.quote(nearby if os.sep in nearby else f"./{nearby}")


def ourselves() -> str:
    """The command line of this installation."""
    return typed(Path(sys.executable).with_name("pointsman"))
