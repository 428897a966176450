"""Composition root of a process that only works: `python worker.py`, the same as `pointsman worker`."""

import asyncio

from pointsman.config import load
from starter.serve import serve

if __name__ == "__main__":
    asyncio.run(serve(load(), parts=("worker",)))
