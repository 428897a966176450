"""`pointsman audit`: who did what, and the proof that nobody changed it since."""

from pathlib import Path
from typing import Annotated

import typer

from starter.cli.call import Call, Limit, command, group

app = group("audit", "The audit log: show, verify, export.")


@command(app, "show", "pointsman audit show --item fabrikam/42", "pointsman audit show --action escalation.decided")
def show(
    call: Call,
    item: Annotated[str, typer.Option(help="Only events of this item.", show_default=False)] = "",
    correlation_id: Annotated[str, typer.Option(help="Only events of this chain.", show_default=False)] = "",
    action: Annotated[str, typer.Option(help="Only this action, for example item.changed.", show_default=False)] = "",
    limit: Limit = 200,
) -> None:
    """Show events in the order of the log.

    In a pipe: time, action, actor, item, correlation id, data.
    """
    from starter.cli import audit
    from starter.cli.settings import settings_of

    call.show(call.run(audit.shown(settings_of(call), item, correlation_id, action, limit)))


@command(
    app,
    "verify",
    "pointsman audit verify",
    "pointsman audit verify --kept last-month.txt",
    "pointsman audit verify evidence.zip --key BASE64",
)
def verify(
    call: Call,
    archive: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="An export to verify; the log itself if not given.", show_default=False),
    ] = None,
    key: Annotated[str, typer.Option(help="Public key that must have signed the export.", show_default=False)] = "",
    kept: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Checkpoint kept from before: the log must go on from it."),
    ] = None,
) -> int:
    """Verify the whole log: no event changed, dropped or slipped in.

    Exit 9 with findings. In a pipe: log, place, fault. `--json` also tells the last checkpoint of each log.
    """
    from starter.cli import audit
    from starter.cli.settings import settings_of

    if archive is not None:
        return audit.report(call, audit.verified_archive(archive, key))
    return audit.report(call, call.run(audit.verified(settings_of(call), kept or [])))


@command(app, "export", "pointsman audit export evidence.zip")
def export(
    call: Call,
    file: Annotated[Path, typer.Argument(help="ZIP file to write; it must not exist.", show_default=False)],
) -> None:
    """Write events, proofs, checkpoints and public keys, with a verifier that runs offline."""
    from starter.cli import audit
    from starter.cli.settings import settings_of

    call.show(call.run(audit.export(settings_of(call), file)))
