"""What a run shows people in Temporal's UI, and the signals that it did not take."""

from temporalio import workflow

from pointsman.domain import story

SHOWN_MAX = 5  # the newest; all are in the history


class Showing:
    """A run with details of its own. `pointsman.temporal.Fitting` tells it of signals that no handler takes."""

    _details = ""
    _not_taken: tuple[str, ...] = ()

    def misfit(self, signal: str, inputs: int, *, known: bool) -> None:
        """It is shown and nothing else is done: runs that ignored such a signal go on as they did."""
        self._not_taken = (*self._not_taken, story.left_out(signal, inputs, known=known))[-SHOWN_MAX:]
        self._show(self._details)

    def _show(self, details: str) -> None:
        self._details = details
        workflow.set_current_details(story.with_left_out(details, self._not_taken))
