"""What it runs on, and how much of it somebody else has meanwhile."""

import os
import platform
import resource
from dataclasses import dataclass
from pathlib import Path

STAT = Path("/proc/stat")
_IDLE, _STOLEN, _KINDS = (3, 4), 7, 8


def described() -> str:
    processor = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{platform.system()}, {processor}, {os.cpu_count()} processors, Python {platform.python_version()}"


@dataclass(frozen=True)
class Clock:
    """Seconds of processors until now: all there were, those that were at work, and those of ours."""

    total: float
    busy: float
    stolen: float
    ours: float

    def others(self, end: "Clock") -> float:
        """Share of the processors that others had until `end`, the machine's host among them."""
        total = end.total - self.total
        theirs = (end.busy - self.busy) - (end.ours - self.ours) + (end.stolen - self.stolen)
        return max(0.0, min(1.0, theirs / total)) if total else 0.0


def clock() -> Clock | None:
    """Ours are this process and those of its children that have ended. None where the system does not tell."""
    try:
        line = STAT.read_text().splitlines()[0]
    except OSError:
        return None
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return read_clock(line, os.sysconf("SC_CLK_TCK"), sum(one.ru_utime + one.ru_stime for one in spent))


def read_clock(line: str, ticks_per_second: int, ours: float) -> Clock:
    """From the first line of `/proc/stat` (proc(5)): user, nice, system, idle, iowait, irq, softirq, steal."""
    kinds = [int(ticks) / ticks_per_second for ticks in line.split()[1 : _KINDS + 1]]
    idle, stolen = sum(kinds[index] for index in _IDLE), kinds[_STOLEN]
    return Clock(total=sum(kinds), busy=sum(kinds) - idle - stolen, stolen=stolen, ours=ours)
