"""What all tests of workflows have in common."""

import pytest

from activities import outside


@pytest.fixture(autouse=True)
def quick_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancellation reaches an activity with its next beat, and most tests have nothing to do until it does."""
    monkeypatch.setattr(outside, "BEAT_SECONDS", 0.05)
