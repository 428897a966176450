"""Read a Dockerfile, and carry out its steps in a folder instead of in an image.

All stages use one root, so that paths in scripts and shebangs stay true: when a stage begins, what the one before left
is moved aside, and `COPY --from` takes it from there. A stage sees only what was copied into it.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

STEP_SECONDS = 600
OPTION = re.compile(r"--[a-z-]+=\S+\s+")
# Absolute paths that our Dockerfile names, and that therefore lie below the root of the stage.
INSIDE = re.compile(r"(?<![\w/.])/(usr/lib/pointsman|usr/lib/uv|var/lib/pointsman|src|wheels)\b")


class Step(NamedTuple):
    keyword: str
    options: Mapping[str, str]
    text: str


def steps(text: str) -> list[Step]:
    """Instructions in order; continuation lines joined, comments left out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found = []
    for line in joined.splitlines():
        keyword, _, rest = line.partition(" ")
        options: dict[str, str] = {}
        while option := OPTION.match(rest):
            name, _, value = option[0].strip().removeprefix("--").partition("=")
            options[name] = value
            rest = rest[option.end() :]
        found.append(Step(keyword, options, rest.strip()))
    return found


@dataclass
class Image:
    """What building came to: the root of the last stage, and how a container would start from it."""

    context: Path
    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    user: str = ""
    workdir: str = "/"
    labels: dict[str, str] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)
    stage: str = ""

    @property
    def root(self) -> Path:
        return self.folder / "root"

    def build(self, instructions: Sequence[Step]) -> None:
        carry_out = {
            "FROM": self._from, "WORKDIR": self._workdir, "COPY": self._copy, "RUN": self._run, "ENV": self._env,
            "ARG": self._arg, "LABEL": self._label, "USER": self._user, "ENTRYPOINT": self._entrypoint,
            "CMD": self._cmd, "HEALTHCHECK": self._healthcheck, "EXPOSE": self._said, "STOPSIGNAL": self._said,
        }  # fmt: skip
        for step in instructions:
            carry_out[step.keyword](step)

    def _from(self, step: Step) -> None:
        if self.root.exists():
            self.root.rename(self.folder / self.stage)
        self.root.mkdir(parents=True)
        self.stage = step.text.partition(" AS ")[2]
        self.workdir, self.env, self.labels, self.arguments = "/", {}, {}, {}
        # The image's own interpreter. A wrapper and no link, so that a virtual environment finds its real home.
        python = self.root / "usr" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
        python.chmod(0o755)

    def _workdir(self, step: Step) -> None:
        self.workdir = step.text
        self._inside(step.text).mkdir(parents=True, exist_ok=True)

    def _copy(self, step: Step) -> None:
        *sources, target = step.text.split()
        base = self.folder / step.options["from"] if "from" in step.options else self.context
        for source in sources:
            origin = base / source.lstrip("/")
            # Several sources, or a target that ends with a slash, go into a folder.
            into = self._inside(target) / origin.name if target.endswith("/") else self._inside(target)
            into.parent.mkdir(parents=True, exist_ok=True)
            if origin.is_dir() and base != self.context:
                shutil.copytree(origin, into, symlinks=True, copy_function=os.link)  # whose stage is built: none writes
            elif origin.is_dir():
                shutil.copytree(origin, into, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(origin, into)

    def _run(self, step: Step) -> None:
        # Compiling the whole environment takes longer than all else, for a few programs that run once.
        # The first of them writes what the others read.
        script = step.text.replace("--compile-bytecode", "")
        script = INSIDE.sub(lambda found: f"{self.root}{found[0]}", script)
        # Who may not give files away keeps them.
        script = script.replace("10001", str(os.getuid()), 1).replace("10001", str(os.getgid()), 1)
        done = subprocess.run(
            ["sh", "-ec", script],
            cwd=self._inside(self.workdir),
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=STEP_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"RUN {step.text}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"

    def _env(self, step: Step) -> None:
        for pair in shlex.split(step.text):
            name, _, value = pair.partition("=")
            self.env[name] = value

    def _arg(self, step: Step) -> None:
        name, _, default = step.text.partition("=")
        self.arguments[name] = default

    def _label(self, step: Step) -> None:
        for pair in shlex.split(step.text):
            name, _, value = pair.partition("=")
            self.labels[name] = re.sub(r"\$\{(\w+)\}", lambda found: self.arguments[found[1]], value)

    def _user(self, step: Step) -> None:
        self.user = step.text

    def _entrypoint(self, step: Step) -> None:
        self.entrypoint = json.loads(step.text)

    def _cmd(self, step: Step) -> None:
        self.command = json.loads(step.text)

    def _healthcheck(self, step: Step) -> None:
        self.healthcheck = json.loads(step.text.removeprefix("CMD").strip())

    def _said(self, step: Step) -> None:
        """Changes nothing in the file system."""

    def environment(self) -> dict[str, str]:
        """The environment of the stage: nothing of ours but where packages come from, and are cached."""
        passed = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "UV_", "XDG_"))}
        home = {"HOME": os.environ.get("HOME", "/"), "PATH": f"{self.root}/usr/bin:/usr/bin:/bin"}
        kept = {name: value for name, value in self.env.items() if name != "PYTHONDONTWRITEBYTECODE"}
        own = {name: INSIDE.sub(lambda found: f"{self.root}{found[0]}", value) for name, value in kept.items()}
        if "PATH" in own:
            own["PATH"] = own["PATH"].replace("$PATH", home["PATH"])
        return {**passed, **home, **own}

    def _inside(self, path: str) -> Path:
        absolute = path if path.startswith("/") else f"{self.workdir}/{path}"
        return self.root / absolute.lstrip("/")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command as a container of this image would, in its working directory."""
        program = shutil.which(command[0], path=self.environment()["PATH"])
        assert program, f"{command[0]} is not on PATH of the image"
        arguments = [INSIDE.sub(lambda found: f"{self.root}{found[0]}", one) for one in command[1:]]
        return subprocess.run(
            [program, *arguments],
            cwd=self._inside(self.workdir),
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
