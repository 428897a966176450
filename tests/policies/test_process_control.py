"""What policy says about rules of processes is read as it is written, or refused with the place of the mistake."""

from datetime import timedelta
from pathlib import Path

import pytest

from pointsman.contracts.process import CheckSeverity
from pointsman.contracts.process_control import CheckedProject, OnOpen, ProcessControl
from pointsman.policies.loading import PolicyError, load


def written(folder: Path, text: str) -> Path:
    (folder / "policy.yaml").write_text(f"version: '1'\nprocess: {text}\n", encoding="utf-8")
    return folder


def test_all_of_the_section_is_read(tmp_path: Path) -> None:
    text = (
        "{enforce_from: major, rewrites: 3, on_events: true, every: 12h, cron: '0 3 * * 1-5',"
        " projects: [{organisation: fabrikam, project: Web, process: cmmi}],"
        " on_open: [{severity: minor, notify: [team], comment: true, escalate: true}]}"
    )
    assert load(written(tmp_path, text)).policy.process == ProcessControl(
        enforce_from=CheckSeverity.MAJOR,
        rewrites=3,
        on_events=True,
        every=timedelta(hours=12),
        cron="0 3 * * 1-5",
        projects=(CheckedProject(organisation="fabrikam", project="Web", process="cmmi"),),
        on_open=(OnOpen(severity=CheckSeverity.MINOR, notify=("team",), comment=True, escalate=True),),
    )


def test_what_is_left_out_is_not_done(tmp_path: Path) -> None:
    assert load(written(tmp_path, "{}")).policy.process == ProcessControl()
    assert load(written(tmp_path, "{every: never}")).policy.process.every == timedelta()


@pytest.mark.parametrize("cron", ["0 3 * * 1-5", "*/15 0-23/2 1,15 JAN mon-Fri", "5/15 3 31 12 7"])
def test_what_cron_can_say_is_taken(tmp_path: Path, cron: str) -> None:
    assert load(written(tmp_path, f"{{cron: '{cron}'}}")).policy.process.cron == cron


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{enforce_from: severe}", "must be one of: info, minor, major, critical"),
        ("{every: weekly}", "never"),
        ("{cron: '0 3'}", "five fields as cron has them, for example 0 3"),
        ("{cron: '60 3 * * *'}", "the minute is 0 to 59, and not '60'"),
        ("{cron: '0 3 * 0 *'}", "the month is 1 to 12 or jan to dec, and not '0'"),
        ("{cron: '0 3 * * fri-mon'}", "the day of the week is 0 to 7 or sun to sat, and not 'fri-mon'"),
        ("{cron: '*/0 3 * * *'}", "the minute is 0 to 59"),
        ("{cron: '0 1,,2 * * *'}", "the hour is 0 to 23"),
        ("{on_open: [{notify: [Team Lead]}]}", "lower-case letters, digits and hyphens"),
        ("{projects: [{organisation: a, project: b, process: ours}]}", "must be one of: agile, basic, cmmi, scrum"),
        ("{rules: all}", "unknown key"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(PolicyError, match=told) as error:
        load(written(tmp_path, text))
    assert "policy.yaml:2" in str(error.value)


def test_rules_of_ones_own_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "processes").mkdir()
    (tmp_path / "processes" / "ours.yaml").write_text("{name: ours, version: '1', extends: agile}", encoding="utf-8")
    text = "{projects: [{organisation: a, project: b, process: ours}]}"
    assert load(written(tmp_path, text)).policy.process.projects[0].process == "ours"
