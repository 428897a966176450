"""Processor time of other processes: on a machine that does other work too it says more than any clock."""

import os
from pathlib import Path

USER_TICKS, SYSTEM_TICKS = 11, 12
"""Places in /proc/PID/stat behind the program's name."""


def cpu_seconds(pid: int) -> float:
    """User and system so far; 0 where the system does not tell."""
    told = Path(f"/proc/{pid}/stat")
    if not told.exists():
        return 0.0
    of_itself = told.read_text(encoding="utf-8").rpartition(")")[2].split()  # a name may hold spaces
    return (int(of_itself[USER_TICKS]) + int(of_itself[SYSTEM_TICKS])) / os.sysconf("SC_CLK_TCK")
