"""Composition root of a process that only works: `python worker.py`, the same as `pointsman worker`."""

import sys

from starter.cli.app import main

if __name__ == "__main__":
    main(["worker", *sys.argv[1:]])
