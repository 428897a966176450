"""The audit log on the command line: shown, verified, exported."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pointsman.config import Settings
from pointsman.contracts.actions import Action
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.words import how_many
from pointsman.store import exports, offline_verifier, verification
from pointsman.store.signing import Verifier
from pointsman.store.sqlite import Damaged
from starter.cli import items, records
from starter.cli.call import Call
from starter.cli.choices import must_exist
from starter.cli.context import opened, reading
from starter.cli.errors import CliError, ExitCode, must_be_new
from starter.cli.output import Listing, Record, Single


@dataclass(frozen=True)
class Verified:
    """What a verification came to. `logs` hold the last checkpoints: kept elsewhere, they show a log that was cut."""

    summary: str
    findings: Sequence[Record]
    logs: Sequence[Record]


async def shown(settings: Settings, item: str, correlation_id: str, action: str, limit: int) -> Listing:
    must_exist("action", action, Action, "pointsman audit show --help")
    async with opened(settings) as books:
        key = await _key(settings, item) if item else None
        return records.events(list(await books.audit.find(correlation_id, key, action, limit)))


async def _key(settings: Settings, named: str) -> WorkItemKey:
    """Events know an item by organisation and number; what is out of scope has events and no item."""
    organisation, item_id = items.parse(named)
    if organisation:
        return WorkItemKey(organisation=organisation, project="", id=item_id)
    return (await items.found(settings, named)).key


async def verified(settings: Settings, kept: Sequence[Path]) -> Verified:
    """Verify the log in the store, and that it goes on from the checkpoints in the files `kept`."""
    verifier = Verifier.open(settings.key_dir)
    checkpoints = [_read(path) for path in kept]
    try:
        async with reading(settings) as store:
            report = await verification.verify(store, verifier, checkpoints)
    except Damaged as error:
        finding = {"log": "", "place": verification.DATABASE, "fault": str(error)}
        return Verified("nothing, because the database cannot be opened", [finding], [])
    events = sum(log.size for log in report.logs)
    return Verified(
        f"{how_many(events, 'event')} in {how_many(len(report.logs), 'log')}, "
        f"{report.pending} not in them yet, {report.seconds:.1f} s",
        [{"log": one.tenant, "place": one.place, "fault": one.fault} for one in report.findings],
        [
            {
                "log": log.tenant,
                "size": log.size,
                "root": log.root,
                "checkpoints": log.checkpoints,
                "checkpoint": log.checkpoint,
            }
            for log in report.logs
        ],
    )


def verified_archive(archive: Path, key: str) -> Verified:
    """Verify an export, offline. Without `key` it is only shown to agree with itself."""
    if not archive.is_file():
        raise CliError(
            "not_found", f"There is no file {archive}.", "Make one: pointsman audit export FILE.zip", ExitCode.NOT_FOUND
        )
    report = offline_verifier.verify(archive.read_bytes(), key)
    itself = "; the public key was taken from the export itself, compare it: "
    trust = "" if key or not report.keys else itself + ", ".join(report.keys)
    return Verified(
        f"{how_many(report.events, 'event')}, {how_many(report.checkpoints, 'checkpoint')}{trust}",
        [{"log": "", "place": archive.name, "fault": fault} for fault in report.findings],
        [{"checkpoint": note} for note in report.last],
    )


def report(call: Call, told: Verified) -> ExitCode:
    """Print the findings. Exit 9 when there are some."""
    if call.out.as_json:
        call.out.document({"ok": not told.findings, "findings": told.findings, "logs": told.logs})
    else:
        call.show(Listing("findings", ("log", "place", "fault"), told.findings))
    call.out.say(f"verified: {told.summary}; findings: {len(told.findings)}")
    return ExitCode.FINDINGS if told.findings else ExitCode.OK


async def export(settings: Settings, file: Path) -> Single:
    must_be_new(file, "pointsman audit export")
    verifier = Verifier.open(settings.key_dir)
    async with reading(settings) as store:
        made = await exports.export(store, verifier, file)
    return Single(
        "export",
        {
            "file": str(made.path),
            "tenants": made.tenants,
            "events": made.events,
            "checkpoints": made.checkpoints,
            "bytes": made.bytes,
            "sha256": made.sha256,
        },
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(
            "unreadable",
            f"{path} cannot be read: {error}.",
            "See how it is used: pointsman audit verify --help",
            ExitCode.USAGE,
        ) from error
