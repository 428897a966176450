"""Every benchmark, one after the other, each in a process of its own: `python -m bench [--only NAME] [--quick]`.

Prints tables, and writes the figures to `bench/results/NAME.json`. A figure that misses its goal is shown as missed and
fails nothing: the machine may be busy.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
# What `--quick` gives each, to see in a minute or two that it runs; its figures mean little.
QUICK = {
    "chains": ("--seconds", "3"),
    "disorder": ("--deliveries", "300", "--items", "30"),
    "inbox": ("--seconds", "1.5"),
    "intake": ("--seconds", "1", "--rounds", "1"),
    "intake_load": ("--seconds", "3", "--items", "50", "--burst", "100"),
    "items": ("--items", "20"),
    "matrix": ("--items", "500"),
    "promptness": ("--items", "100", "--seconds", "5"),
    "rules": ("--items", "5"),
    "startup": ("--rounds", "1"),
    "sync": ("--items", "10", "--seconds", "3", "--per-second", "5"),
}


def run(name: str, *, quick: bool) -> bool:
    """Whether it measured to its end. Standard output and error are ours."""
    extra = QUICK[name] if quick else ()
    command = [sys.executable, "-m", f"bench.{name}", "--json", str(RESULTS / f"{name}.json"), *extra]
    # Without this, contenders of ours and bare ones would differ in who has to compile their own modules again.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    (RESULTS / f"{name}.json").unlink(missing_ok=True)
    subprocess.run(command, check=False, env=environment)
    return (RESULTS / f"{name}.json").exists()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=sorted(QUICK), action="append", help="this one; may be given again")
    parser.add_argument("--quick", action="store_true", help="small numbers, to see that it runs")
    given = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    broken = [name for name in given.only or QUICK if not run(name, quick=given.quick)]
    if broken:
        print(f"no figures from: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
