"""Exit codes of the command line, its one error type, and what the errors of other rooms mean to its user."""

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from math import ceil
from pathlib import Path


class ExitCode(IntEnum):
    OK = 0
    FAILURE = 1
    USAGE = 2
    NOT_FOUND = 3
    UNAUTHORISED = 4
    CONFLICT = 5
    """Somebody else was first, or holds what is needed."""
    POLICY = 6
    """Policy, or the workflow's own check, refuses it."""
    TIMED_OUT = 7
    PENDING = 8
    """Asked for an end that is not reached yet."""
    FINDINGS = 9
    """The check ran through and found something."""
    INTERRUPTED = 130


MEANINGS: Mapping[ExitCode, str] = {
    ExitCode.OK: "done",
    ExitCode.FAILURE: "it failed",
    ExitCode.USAGE: "the command line, a setting or a file of settings is wrong",
    ExitCode.NOT_FOUND: "there is no such thing",
    ExitCode.UNAUTHORISED: "credentials are missing or refused",
    ExitCode.CONFLICT: "somebody else was first: already decided, or in use",
    ExitCode.POLICY: "policy refuses it",
    ExitCode.TIMED_OUT: "timed out while waiting",
    ExitCode.PENDING: "still pending (`--exit-status`)",
    ExitCode.FINDINGS: (
        "the check ran through and found something, or something is left that somebody has to look at (`doctor`, "
        "`audit verify`, `policy check`, `process check`, `process matrix --gaps`, `hooks`, `sync reconcile`; others "
        "with `--exit-status`)"
    ),
    ExitCode.INTERRUPTED: "interrupted with Ctrl-C",
}


class CliError(Exception):
    """What a command ends with when it cannot do its work. `hint` ends with the next command to run."""

    def __init__(
        self,
        code: str,
        message: str,
        hint: str = "",
        exit_code: ExitCode = ExitCode.FAILURE,
        *,
        correlation_id: str = "",
        retryable: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.exit_code = exit_code
        self.correlation_id = correlation_id
        self.retryable = retryable

    def document(self) -> dict[str, dict[str, str | bool]]:
        """The error as `--json` prints it on stderr."""
        error: dict[str, str | bool] = {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "correlation_id": self.correlation_id,
            "retryable": self.retryable,
        }
        return {"error": error}


def not_found(what: str, next_command: str) -> CliError:
    return CliError("not_found", what, f"See what there is: {next_command}", ExitCode.NOT_FOUND)


def usage(message: str, hint: str) -> CliError:
    # A command alone is no sentence.
    lead = "See how it is used" if hint.endswith("--help") else "See what there is"
    told = f"{lead}: {hint}" if hint.startswith("pointsman ") else hint
    return CliError("usage", message, told, ExitCode.USAGE)


def folder_must_exist(file: Path) -> None:
    """
    Raises:
        CliError: there is no folder for the file.
    """
    if not file.parent.is_dir():
        raise CliError(
            "no_folder",
            f"There is no folder {file.parent} for {file.name}. Nothing was written.",
            f"Make it first: mkdir -p {shlex.quote(str(file.parent))}",
            ExitCode.NOT_FOUND,
        )


def must_be_new(file: Path, command: str) -> None:
    """
    Raises:
        CliError: the file is there already, or its folder is not.
    """
    folder_must_exist(file)
    if file.exists():
        another = file.with_stem(f"{file.stem}-2")
        raise CliError(
            "exists",
            f"{file} exists already. Nothing was written.",
            f"Name another file: {command} {another}",
            ExitCode.CONFLICT,
        )


@dataclass(frozen=True)
class Meaning:
    code: str
    exit_code: ExitCode
    hint: str = ""
    retryable: bool = False


MODELS = "See what there is, and what it can do: pointsman llm models"
ANOTHER_MODEL = "Try again, or see which other model would do: pointsman llm select"

# By qualified name and not by class: importing the rooms that raise these would cost every command a second.
KNOWN: Mapping[str, Meaning] = {
    "pointsman.config.Misconfigured": Meaning(
        "misconfigured", ExitCode.USAGE, "See every setting and where it comes from: pointsman config explain"
    ),
    "pointsman.temporal.TemporalUnreachable": Meaning(
        "temporal_unreachable", ExitCode.FAILURE, "See what is missing: pointsman doctor", retryable=True
    ),
    "temporalio.service.RPCError": Meaning(
        "temporal_call_failed", ExitCode.FAILURE, "See what is missing: pointsman doctor", retryable=True
    ),
    "pointsman.temporal_server.ServerNotFound": Meaning(
        "no_temporal", ExitCode.FAILURE, "See what is missing: pointsman doctor"
    ),
    "pointsman.temporal_server.DevServerFailed": Meaning(
        "temporal_failed", ExitCode.FAILURE, "Stop what runs, then try again: pointsman down"
    ),
    "pointsman.policies.document.PolicyError": Meaning(
        "policy_invalid", ExitCode.USAGE, "See all that is wrong with it: pointsman policy check"
    ),
    "pointsman.store.sqlite.StoreInUse": Meaning("in_use", ExitCode.CONFLICT, "Stop it: pointsman down"),
    "pointsman.store.sqlite.Damaged": Meaning(
        "damaged", ExitCode.FAILURE, "See what is wrong with it: pointsman audit verify"
    ),
    "pointsman.store.schema.SchemaMismatch": Meaning(
        "schema", ExitCode.FAILURE, "Bring it up to date: pointsman db upgrade"
    ),
    "starter.escalations.Unanswered": Meaning(
        "unanswered", ExitCode.TIMED_OUT, "Start a worker, then decide once more: pointsman worker", retryable=True
    ),
    "pointsman.llm.settings.SettingsError": Meaning(
        "misconfigured",
        ExitCode.USAGE,
        "See every setting and where it comes from: pointsman config explain",
    ),
    "pointsman.llm.registry.RegistryError": Meaning(
        "misconfigured", ExitCode.USAGE, "Mend it, then look at it again: pointsman llm models"
    ),
    "pointsman.llm.errors.ModelNotAllowedError": Meaning("not_allowed", ExitCode.POLICY, MODELS),
    "pointsman.llm.errors.ModelRetiredError": Meaning("retired", ExitCode.POLICY, MODELS),
    "pointsman.llm.errors.ContentRefusedError": Meaning(
        "refused", ExitCode.POLICY, "Word it in another way, or ask several: pointsman llm compare"
    ),
    "pointsman.llm.errors.BudgetExceededError": Meaning(
        "budget", ExitCode.POLICY, "See what was spent: pointsman usage"
    ),
    "pointsman.llm.errors.AuthenticationError": Meaning(
        "no_key", ExitCode.UNAUTHORISED, "See which keys are there: pointsman llm models"
    ),
    "pointsman.llm.errors.InvalidRequestError": Meaning("invalid_request", ExitCode.USAGE, MODELS),
    "pointsman.llm.errors.ContextWindowExceededError": Meaning("too_long", ExitCode.USAGE, MODELS),
    "pointsman.llm.selector.NoModelError": Meaning("no_model", ExitCode.POLICY, MODELS),
    "pointsman.llm.errors.ProviderTimeoutError": Meaning(
        "timed_out", ExitCode.TIMED_OUT, ANOTHER_MODEL, retryable=True
    ),
    "pointsman.llm.errors.RateLimitedError": Meaning("rate_limited", ExitCode.FAILURE, ANOTHER_MODEL, retryable=True),
    "pointsman.llm.errors.QueueFullError": Meaning("queue_full", ExitCode.FAILURE, ANOTHER_MODEL, retryable=True),
    "pointsman.llm.errors.BooksUnavailableError": Meaning(
        "books_unavailable", ExitCode.FAILURE, "See that the database runs: pointsman doctor", retryable=True
    ),
    "pointsman.llm.errors.ProviderError": Meaning("provider", ExitCode.FAILURE, ANOTHER_MODEL),
    "pointsman.llm.errors.LLMError": Meaning("llm", ExitCode.FAILURE, MODELS),
    "pointsman.clients.azure_devops.errors.NotSignedIn": Meaning(
        "not_signed_in", ExitCode.UNAUTHORISED, "See which account is refused, and why: pointsman doctor --online"
    ),
    "pointsman.clients.azure_devops.errors.NotPermitted": Meaning(
        "not_permitted", ExitCode.UNAUTHORISED, "See which account is asked for: pointsman doctor --online"
    ),
    "pointsman.clients.azure_devops.errors.UnknownOrganisation": Meaning(
        "unknown_organisation",
        ExitCode.NOT_FOUND,
        "See at which address it is asked: pointsman config explain azure_devops_url",
    ),
    "sqlalchemy.exc.OperationalError": Meaning(
        "unavailable", ExitCode.FAILURE, "See that the database runs: pointsman doctor", retryable=True
    ),
    "pointsman.ports.Missing": Meaning("not_found", ExitCode.NOT_FOUND, "See what there is: pointsman items list"),
    "pointsman.ports.Conflict": Meaning("conflict", ExitCode.CONFLICT, "Look at it again: pointsman items list"),
    "pointsman.ports.Rejected": Meaning("rejected", ExitCode.FAILURE, "See what is missing: pointsman doctor"),
    "pointsman.ports.Unavailable": Meaning(
        "unavailable", ExitCode.FAILURE, "Try again later, and see what is missing: pointsman doctor", retryable=True
    ),
}


def translated(error: BaseException) -> CliError | None:
    """The error as the command line tells it; None for one that nobody expected."""
    if isinstance(error, CliError):
        return error
    for kind in type(error).__mro__:
        if meaning := KNOWN.get(f"{kind.__module__}.{kind.__qualname__}"):
            return CliError(
                meaning.code,
                f"{_what(error)}{_when(error)}",
                meaning.hint,
                meaning.exit_code,
                retryable=meaning.retryable or getattr(error, "retryable", False) is True,
            )
    if isinstance(error, OSError):
        return CliError("os", f"{error}", "See what is missing: pointsman doctor")
    return None


def _what(error: BaseException) -> str:
    """In the error's own words, without what its user is told by the hint, or cannot use: statements and links."""
    if type(error).__module__ == "temporalio.service":
        told = f"Temporal does not answer, or refused this ({getattr(getattr(error, 'status', None), 'name', '')})"
        return f"{told}: {error}. What it had taken before goes on there when it runs."
    if (cause := getattr(error, "orig", None)) is not None:
        return f"The database cannot do this now: {' '.join(str(cause).split())}"
    return str(error).removesuffix("\nnext: pointsman config explain")


def _when(error: BaseException) -> str:
    """When to come back, where the error knows it."""
    pause = getattr(error, "retry_after", None)
    return f". It may be tried again in {ceil(pause.total_seconds())} s." if isinstance(pause, timedelta) else ""


def unexpected(error: BaseException) -> CliError:
    """For what nobody expected: named, and its trace kept in a file, because a trace on the terminal helps nobody."""
    where = _keep_trace(error)
    kept = f"The trace is in {where}; send it along when you report this." if where else "The trace could not be kept."
    return CliError(
        "unexpected", f"{type(error).__name__}: {error}", f"{kept} Is everything in place? pointsman doctor"
    )


def _keep_trace(error: BaseException) -> str:
    import traceback  # only here: no command should pay for it
    from datetime import UTC, datetime

    from platformdirs import user_log_path

    name = f"error-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}.txt"
    try:
        path = user_log_path("pointsman", ensure_exists=True) / name
        path.touch(mode=0o600)
        path.write_text(" ".join(sys.argv[:3]) + "\n" + "".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError:
        return ""
    return str(path)
