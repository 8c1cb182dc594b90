"""How long the windows of one training are. The worker follows it, and `verify` repeats it from the event log."""

from __future__ import annotations

from lenet.cases.case import Plan, SteadyWindows, TurnLength


class WindowSizes:
    """The sizes of the next windows, by the times of those before.

    Whoever uses it calls `warmed_up` after the window that `ends_warmup`, and `turn_ended` after each turn of the
    training.
    """

    def __init__(self, plan: Plan, steps_per_epoch: int, turn: TurnLength | None = None) -> None:
        self._plan, self._turn = plan, turn
        # A window of whole-epoch training never spans an evaluation.
        self._at_most = steps_per_epoch if plan.epochs is not None else None
        self._pace: float | None = None
        self._steps, self._seconds = 0, 0.0
        self.windows = plan.windows
        """Steady windows of the training."""
        self.resident_windows = plan.resident_windows
        self.steps = self._limited(plan.window_steps)
        """Training steps of the next window, where nothing ends it before."""
        self.lead_in = 0
        """Training steps before it, at the start of a turn, whose times do not count."""

    def ends_warmup(self, first_step: int, steps: int) -> bool:
        """Whether a window is the last of the warm-up and tells its pace, as the first step does not."""
        return first_step > 0 and first_step + steps == self._plan.warmup_steps

    def warmed_up(self, pace: float) -> None:
        """Plan the steady windows: the steps at the end of the warm-up take `pace` seconds."""
        planned = self._resize(pace)
        self.windows, self.resident_windows = planned.windows, planned.resident_windows

    def turn_ended(self, steps: int, seconds: float) -> None:
        """Take the window of a turn into account, without its lead-in. The number of windows stays."""
        if self._pace is None or self._turn is None or self._turn.pace_change is None:
            return
        self._steps += steps
        self._seconds += seconds
        pace = self._seconds / self._steps
        change = self._turn.pace_change
        if not 1 / change < pace / self._pace < change:
            self._resize(pace)

    def _resize(self, pace: float) -> SteadyWindows:
        planned = self._plan.steady_windows(pace, self._turn)
        self._pace, self.lead_in = pace, planned.lead_in
        self.steps = self._limited(planned.steps)
        return planned

    def _limited(self, steps: int) -> int:
        return steps if self._at_most is None else min(steps, self._at_most)
