"""`python -m bench.faults --kills N --seed S [--json FILE]`: exit 0 only if nothing was lost and nothing came twice."""

import argparse
import asyncio
import json
import shutil
import signal
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from bench.faults import report
from bench.faults.forks import Nursery
from bench.faults.load import OPEN_MAX
from bench.faults.run import Run, Wanted
from pointsman.temporal_server import DevServerFailed, ServerNotFound
from starter.cli.app import leave
from starter.demo.processes import DemoFailed

PATIENCE_SECONDS = 300.0
MINUTES_MAX = 120.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=10, help="how often something is killed")
    parser.add_argument("--seed", type=int, default=1, help="of the moments, the targets and the load")
    parser.add_argument("--json", type=Path, help="write the document with all figures to this file")
    parser.add_argument(
        "--patience", type=float, default=PATIENCE_SECONDS, help="seconds for everything to end after the last kill"
    )
    parser.add_argument("--minutes", type=float, default=MINUTES_MAX, help="begin no further kill after this time")
    parser.add_argument("--open", type=int, default=OPEN_MAX, help="items that are under way at once")
    parser.add_argument(
        "--shared-tools", action="store_true", help="one tool server, which no kill hits, for all starts"
    )
    parser.add_argument("--keep", action="store_true", help="keep logs and state although all is well")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was started is stopped then, too
    began = time.monotonic()
    nursery = Nursery.begin()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {line}", flush=True)

    folder = Path(tempfile.mkdtemp(prefix="pointsman-faults-"))
    most = timedelta(minutes=options.minutes)
    wanted = Wanted(options.kills, options.seed, most, options.patience, options.open, options.shared_tools)
    try:
        outcome = asyncio.run(Run(wanted, folder, say, nursery).run())
    except KeyboardInterrupt:
        print(f"\nstopped; logs and state are kept in {folder}", file=sys.stderr)
        return 130
    except (DemoFailed, DevServerFailed, ServerNotFound) as error:
        print(f"error: {error}\nThe run was given up; logs and state are kept in {folder}.", file=sys.stderr)
        return 1
    finally:
        nursery.close()
    told = report.document(wanted, outcome)
    report.show(told)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(told, indent=1) + "\n")
    if told["ok"] and not options.keep:
        shutil.rmtree(folder)
    else:
        say(f"logs and state are kept in {folder}")
    return 0 if told["ok"] else 1


if __name__ == "__main__":
    leave(main())
