"""Explaining a case: it is measured, watched by instruments, and what is suspected is tried, until nothing gains.

Instruments slow the training down, so no figure of an instrumented process is reported as a speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lenet.analysis.explain.findings import Explanation, SpeedFinding, SpeedLine, conclude
from lenet.analysis.explain.gap import gap
from lenet.analysis.explain.observation import Observed
from lenet.analysis.explain.search import Changes, candidates, choose
from lenet.analysis.explain.suspicions import Change, Key, Suspicion, changed, options, suspicions
from lenet.analysis.explain.trials import TriedChange, speed
from lenet.analysis.paired import LEAST_GROUPS
from lenet.cases.axes import values_of
from lenet.cases.case import Case, Mode, Plan, RuntimeProfile
from lenet.cases.frameworks import ABILITIES, Framework
from lenet.cases.matrix import Matrix
from lenet.commands.measurement import Find, Log, Run, begin
from lenet.commands.trials import Budget, Trials
from lenet.commands.watch import Watcher
from lenet.engine import Engine, TimeLimits
from lenet.engine.environments import releases
from lenet.machine.installed import framework_version
from lenet.store.record import Status

PLAN = Plan(window_steps=2, window_seconds=0.25, windows=12, resident_windows=4, budget_seconds=30, evaluation_images=1)
"""A slow case takes ten seconds to warm up, and still gets as many turns as an interval over them needs."""
PART_SHARE = 1 / 60
"""Share of the budget for each of the three kinds of windows in which the parts of a step are measured, each time."""
GROUPS = LEAST_GROUPS
"""The most groups of the same cases: the fewest whose interval speaks for other processes."""
SLACK = 1.2
"""A group may take this many times what its members took before."""
AS_IT_IS = "as it is"
"""The case without any fix."""


class NothingToExplainError(Exception):
    """The case could not be run; the message says why."""


class Explainer:
    """Explains the case of a run, which keeps every record and every log. It is used once."""

    def __init__(self, run: Run, engine: Engine, limits: TimeLimits, log: Log, budget: Budget) -> None:
        (self._case,) = run.cases
        self._run = run
        self._budget = budget
        self._log = log
        self._trials = Trials(run, engine)
        self._watcher = Watcher(run, limits, self._say, budget.seconds * PART_SHARE)
        self._found: dict[Key, tuple[Suspicion, Changes]] = {}
        self._attempted: set[frozenset[Change]] = {frozenset()}
        self._untried: dict[frozenset[Change], str] = {}
        """What should have been tried at some time, by its options."""
        self._notes: list[str] = []
        self._look_seconds = 0.0
        """How long the last look took."""

    def _say(self, text: str) -> None:
        self._log(f"{text} ({self._budget.left:.0f} s left)")

    def explain(self) -> Explanation:
        """Measure the case and watch it, try what is suspected, and repeat that with what gained until nothing gains.

        Raises:
            NothingToExplainError: the case cannot be run here.
            StoreError: the run cannot be written.
            KeyboardInterrupt: on Ctrl-C; the run keeps its records.
        """
        self._say("measuring the case without instruments")
        (record,) = self._trials.measure([self._case])
        if record.status is not Status.OK or record.summary.throughput is None:
            raise NothingToExplainError(f"{record.status.value}: {record.reason}")
        observed = first = self._look(())
        fixes: Changes = ()
        while (better := self._improved(fixes, observed)) is not None:
            fixes = better
            self._say(f"next: {options(fixes) or 'the case as it is'}")
            observed = self._look(fixes)
        twin = twin_of(self._with(fixes))
        self._compare_all(fixes, twin)
        measured = None
        if twin is not None and self._budget.left > self._look_seconds:
            measured = self._watcher.parts(twin, self._trials.records(twin))
        elif twin is not None:
            self._notes.append("the time was over before the parts of PyTorch's step were measured (--budget)")
        suspected = [self._suspected(suspicion, where, fixes) for suspicion, where in self._found.values()]
        remaining = observed if fixes else None
        if untried := [words for changes, words in self._untried.items() if changes not in self._attempted]:
            self._notes.append(f"the time was over before this was tried: {', '.join(untried)} (--budget)")
        return Explanation(
            observed=first.model_copy(update={"caveats": (*self._busy(), *first.caveats)}),
            findings=tuple(conclude(suspected, first, remaining)),
            fixes=options(fixes),
            remaining=remaining,
            speeds=tuple(self._speeds(fixes, twin)),
            twin=self._trials.compare("PyTorch", self._with(fixes), twin) if twin is not None else None,
            gap=gap(observed, measured),
            notes=tuple(self._notes),
        )

    def _look(self, fixes: Changes) -> Observed:
        case, left = self._with(fixes), self._budget.left
        observed = self._watcher.look(case, self._trials.records(case))
        self._look_seconds = left - self._budget.left
        return observed

    def _has_time(self, sets: Sequence[Changes], twin: Case | None = None, *, watches: bool = True) -> bool:
        """Whether there is time for a group of the case with these changes, and its twin, and to watch one more."""
        seconds = sum(map(self._seconds, sets))
        if twin is not None:
            known = self._trials.seconds(twin)
            # Hardly longer than what it is compared with, which is the fastest of them.
            seconds += known if known is not None else min(map(self._seconds, sets))
        return self._budget.left > SLACK * seconds + (self._look_seconds if watches else 0)

    def _seconds(self, changes: Changes) -> float:
        """About how long the case takes with the changes.

        Where that is new, as long as with some of them: what is suspected makes it faster, or else hardly slower.
        """
        if (known := self._trials.seconds(self._with(changes))) is not None:
            return known
        parts = [self._with(tuple(tried)) for tried in self._attempted if tried < frozenset(changes)]
        found = [seconds for each in parts if (seconds := self._trials.seconds(each)) is not None]
        return min(found, default=self._trials.most_seconds)

    def _with(self, fixes: Sequence[Change]) -> Case:
        return changed(self._case, fixes)

    def _busy(self) -> list[str]:
        """A caveat if other programs used the cores when the run began: figures are of a part of the machine then."""
        machine = self._run.store.manifest.machine
        if machine.load_average is None or machine.load_average < machine.usable_cores / 2:
            return []
        return [
            f"the machine was busy before: load {machine.load_average:.1f} on {machine.usable_cores} cores; measure "
            "again when it is idle"
        ]

    def _improved(self, fixes: Changes, observed: Observed) -> Changes | None:
        """The fixes for the next round, after a group of the present ones and what is suspected beside them."""
        suspected = suspicions(observed)
        for suspicion in suspected:
            self._found.setdefault(suspicion.key, (suspicion, fixes))
        changes = [each.change for each in suspected if each.change is not None]
        proposed = candidates(fixes, changes, self._attempted)
        controls = [(*fixes, each.control) for each in suspected if each.control is not None]
        proposed += [each for each in controls if frozenset(each) not in self._attempted]
        self._untried |= {frozenset(each): options(each) or AS_IT_IS for each in proposed}
        # What has gained so far is compared with the case as it is and with PyTorch at the end.
        account: list[Changes] = [(), fixes] if fixes else []
        twin = twin_of(self._with(fixes)) if fixes else None
        while proposed and not self._has_time([fixes, *proposed, *account], twin):
            proposed.pop()
        self._attempted |= {frozenset(each) for each in (fixes, *proposed)}
        tried = [each for each in proposed if each not in controls]
        unsettled = proposed
        for _ in range(GROUPS):
            if not unsettled or not self._has_time([fixes, *unsettled, *account], twin):
                break
            self._say(f"trying together: {', '.join(options(each) or AS_IT_IS for each in unsettled)}")
            self._measure([self._with(each) for each in (fixes, *unsettled)])
            effects = {each: self._effect(fixes, each) for each in unsettled}
            if any(effect is not None and effect.gained for each, effect in effects.items() if each in tried):
                break
            unsettled = [each for each, effect in effects.items() if effect is not None and effect.may_gain]
        return choose(fixes, tried, self._effect)

    def _effect(self, before: Changes, after: Changes) -> TriedChange | None:
        """The effect of going from the first fixes to the second, named by what is added."""
        added = [each for each in after if each not in before]
        return self._trials.compare(options(added), self._with(before), self._with(after))

    def _measure(self, cases: Sequence[Case]) -> None:
        for record in self._trials.measure(list(dict.fromkeys(cases))):
            if record.status is not Status.OK:
                self._notes.append(f"{record.case.label}: {record.status.value}: {record.reason}")

    def _compare_all(self, fixes: Changes, twin: Case | None) -> None:
        """Measure in as many groups as there is time for.

        Members are the case as it is and with all fixes, the twin, what tells causes apart, each fix alone, and all but
        one of them: the last ones are left out where there is no time for all.
        """
        sets: list[Changes] = [(), fixes]
        sets += [(*where, each.control) for each, where in self._found.values() if each.control is not None]
        sets += [*((each,) for each in fixes), *(tuple(o for o in fixes if o is not each) for each in fixes)]
        sets = list(dict.fromkeys(sets))
        least, wanted = 2 if fixes else 1, len(sets)
        while len(sets) > least and not self._has_time(sets, twin):
            sets.pop()
        if len(sets) < wanted:
            left_out = wanted - len(sets)
            self._notes.append(f"{left_out} of {wanted} sets of fixes are not in the last groups: no time (--budget)")
        members = list(dict.fromkeys([*map(self._with, sets), *filter(None, [twin])]))
        if len(members) < 2:
            return
        for number in range(GROUPS):
            # One group, with its intervals, says more than a look at PyTorch.
            if not self._has_time(sets, twin, watches=number > 0):
                self._notes.append(f"the time was over after {number} of {GROUPS} groups of all fixes (--budget)")
                return
            self._say(f"measuring {len(members)} cases together: group {number + 1} of {GROUPS}")
            self._measure(members)

    def _suspected(self, suspicion: Suspicion, where: Changes, fixes: Changes) -> SpeedFinding:
        """A suspicion with what was measured of its change, where it was seen and beside the other fixes."""
        change, control = suspicion.change, suspicion.control
        others = tuple(each for each in fixes if each != change)
        beside = change in fixes and frozenset(others) != frozenset(where)
        return SpeedFinding(
            key=suspicion.key,
            title=suspicion.title,
            evidence=suspicion.evidence,
            seen_with=options(where),
            trial=self._effect(where, (*where, change)) if change is not None else None,
            beside_others=self._effect(others, fixes) if beside else None,
            control=self._effect(where, (*where, control)) if control is not None else None,
            fixed=change in fixes,
        )

    def _speeds(self, fixes: Changes, twin: Case | None) -> list[SpeedLine]:
        """The account of all fixes: as it is, each of them, all of them, PyTorch."""
        named = {AS_IT_IS: self._case} | {options((each,)): self._with((each,)) for each in fixes}
        if len(fixes) > 1:
            named[options(fixes)] = self._with(fixes)
        if twin is not None:
            named[ABILITIES[twin.framework].title] = twin
        lines = []
        for name, case in named.items():
            if (images_per_second := speed(self._trials.records(case))) is not None:
                compared = None if case == self._case else self._trials.compare(name, self._case, case)
                lines.append(SpeedLine(name=name, images_per_second=images_per_second, compared=compared))
        return lines


def twin_of(case: Case) -> Case | None:
    """The same training in eager PyTorch as installed; None if it is not installed or cannot run the case."""
    if case.framework is Framework.PYTORCH or framework_version(Framework.PYTORCH) is None:
        return None
    update = {"framework": Framework.PYTORCH, "framework_version": None, "mode": Mode.EAGER}
    twin = case.model_copy(update={**update, "profile": RuntimeProfile()})
    return twin if Case.refusal(values_of(twin)) is None else None


def prepare(case: Case, find: Find, log: Log, output: Path | None = None, resume: Path | None = None) -> Run:
    """Begin or resume a run for the explanation of one case; its plan is replaced by a short one.

    Raises: as `lenet.commands.measurement.begin`.
    """
    case = case.first_repetition.model_copy(update={"plan": PLAN})
    matrix = Matrix.around([case], "explain", "measurements of `lenet-bench explain`: short, speed only")
    releases.prepare([case], log)
    return begin([case], find, output, resume=resume, matrix=matrix)
