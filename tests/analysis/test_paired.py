"""The paired ratio: against scipy, and on simulated groups of known truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from lenet.analysis.paired import (
    LEAST_GROUPS,
    LOOKS,
    PLACES_FROM,
    PLANNED_LEVEL,
    TRIMMED,
    GroupEstimate,
    MemberPair,
    TimedTurn,
    contrasts,
    group_estimate,
    group_mean,
    next_look,
    paired_ratio,
    precise,
)
from lenet.analysis.statistics import LEVEL

SECONDS = 0.1


def group(random, ratio=1.0, blocks=20, every=1, turn_scatter=0.18, group_scatter=0.02, drift=0.1):
    """Turns of two members in ABBA order on a machine that drifts; the second is `ratio` times as fast."""
    offset = random.normal(0, group_scatter)
    speeds = np.cumsum(random.normal(0, drift, blocks))
    drawn = 3000 * np.exp(speeds[:, None] + random.normal(0, turn_scatter, (blocks, 4)))
    a, b = [], []
    for block, rates in enumerate(drawn.tolist()):
        a += [TimedTurn(block, round(1000 * rates[turn] * SECONDS), 1000 * SECONDS) for turn in (0, 3)]
        if block % every == 0:
            faster = 1000 * ratio * math.exp(offset) * SECONDS
            b += [TimedTurn(block, round(rates[turn] * faster), 1000 * SECONDS) for turn in (1, 2)]
    return MemberPair(a, b)


@pytest.fixture
def random():
    return np.random.default_rng(20261125)


class TestContrasts:
    def test_a_contrast_is_the_logarithm_of_the_ratio_of_the_blocks_totals(self):
        a = [TimedTurn(0, 100, 1.0), TimedTurn(0, 300, 1.0)]
        b = [TimedTurn(0, 800, 2.0)]
        assert contrasts(a, b) == [pytest.approx(math.log(400 / 200))]

    def test_the_other_way_round_it_has_the_other_sign(self, random):
        a, b, _ = group(random, 1.3, every=4)
        assert contrasts(a, b) == pytest.approx([-value for value in contrasts(b, a)])

    def test_a_machine_that_slows_down_linearly_cancels_in_a_balanced_block(self):
        speeds = iter((1000, 900, 800, 700))
        turns = {"a": [], "b": []}
        for member in "abba":
            turns[member].append(TimedTurn(0, 100, 100 / next(speeds)))
        # Seconds an image are what adds up: 1/1000 + 1/700 against 1/900 + 1/800.
        assert contrasts(turns["a"], turns["b"])[0] == pytest.approx(
            math.log((100 / 1000 + 100 / 700) / (100 / 900 + 100 / 800))
        )
        assert abs(contrasts(turns["a"], turns["b"])[0]) < 0.04

    def test_a_slow_member_is_held_against_all_turns_around_its_own(self):
        slow = [TimedTurn(2, 10, 1.0), TimedTurn(8, 10, 1.0)]
        fast = [TimedTurn(block, 100 if block < 5 else 400, 1.0) for block in range(11)]
        fast[5] = TimedTurn(5, 100, 1.0)  # as near to block 2 as to block 8: it counts to the earlier one
        assert contrasts(slow, fast) == [pytest.approx(math.log(10)), pytest.approx(math.log(40))]

    def test_members_without_turns_have_none(self):
        assert contrasts([], [TimedTurn(0, 1, 1.0)]) == []
        assert group_estimate(MemberPair([], [])) is None


def test_a_groups_estimate_is_scipys_trimmed_mean(random):
    a, b, _ = group(random, 1.05)
    assert group_estimate(MemberPair(a, b, -3)) == (pytest.approx(stats.trim_mean(contrasts(a, b), TRIMMED)), -3)


def test_one_disturbed_block_hardly_moves_a_group(random):
    a, b, _ = group(random, blocks=20)
    before = group_estimate(MemberPair(a, b)).value
    b = [TimedTurn(turn.block, turn.images, turn.seconds * (50 if turn.block == 7 else 1)) for turn in b]
    assert abs(group_estimate(MemberPair(a, b)).value - before) < 0.05


class TestPairedRatio:
    def test_the_interval_is_students_over_the_groups(self, random):
        groups = [group(random, 1.05) for _ in range(8)]
        estimates = [group_estimate(pair).value for pair in groups]
        expected = stats.ttest_1samp(estimates, 0).confidence_interval(0.95)
        found = paired_ratio(groups)
        assert found.value == pytest.approx(math.exp(np.mean(estimates)))
        assert (math.log(found.interval.low), math.log(found.interval.high)) == pytest.approx(tuple(expected))
        assert found.deviation == pytest.approx(np.std(estimates, ddof=1))
        assert not found.these_processes_only

    @pytest.mark.parametrize("count", [1, 2])
    def test_one_or_two_groups_speak_for_their_processes_only(self, random, count):
        found = paired_ratio([group(random) for _ in range(count)])
        assert count < LEAST_GROUPS
        assert found.these_processes_only
        assert found.interval.low < found.value < found.interval.high

    def test_groups_in_which_a_member_never_ran_count_for_nothing(self, random):
        whole = [group(random) for _ in range(4)]
        assert paired_ratio([*whole, MemberPair([], whole[0].b)]) == paired_ratio(whole)
        assert paired_ratio([MemberPair([], [])]) is None

    @pytest.mark.parametrize("count", [3, 4, 8])
    @pytest.mark.parametrize("ratio", [1.0, 0.95, 0.1])
    def test_nineteen_of_twenty_intervals_hold_the_truth(self, random, count, ratio):
        draws = 300
        held = 0
        for _ in range(draws):
            interval = paired_ratio([group(random, ratio) for _ in range(count)]).interval
            held += interval.low <= ratio <= interval.high
        # 95% of 300 with a standard deviation of 3.8: five of them below would be one draw in millions.
        assert held >= 0.95 * draws - 5 * 3.8

    def test_five_percent_are_seen_in_eight_groups_of_this_scatter(self, random):
        """A group's estimate scatters by 3.5% here: the power of Student's t is then 95%."""
        draws = 100
        seen = sum(
            paired_ratio([group(random, 0.95, blocks=40) for _ in range(8)]).interval.high < 1 for _ in range(draws)
        )
        assert seen >= 0.85 * draws

    def test_a_member_twenty_times_as_slow_is_as_sure_as_its_few_turns_allow(self, random):
        """Its own turns alone set the scatter: those of the fast member, twenty times as many, add next to nothing."""
        slow = [group(random, 0.05, blocks=40, every=20, group_scatter=0, drift=0) for _ in range(400)]
        few = [group_estimate(pair).value for pair in slow]
        own = 0.18 / math.sqrt(4)  # two blocks of two turns
        assert np.std(few) == pytest.approx(own, rel=0.25)
        assert np.mean(few) == pytest.approx(math.log(0.05), abs=0.03)


def starts(random, count, members=4, balanced=True):
    """How many places after the first of two members the second started, in so many groups."""
    found = []
    while len(found) < count:
        order = random.permutation(members)
        found.append(int(order[1] - order[0]))
        if balanced:  # the next group starts in the reverse order
            found.append(-found[-1])
    return found[:count]


def estimates_of(random, count, effect, truth=0.0, scatter=0.04, **orders):
    """Groups in which each place that a worker starts later makes it faster by `effect`."""
    places = starts(random, count, **orders)
    return [
        GroupEstimate(truth + effect * place + noise, place)
        for place, noise in zip(places, random.normal(0, scatter, count).tolist(), strict=True)
    ]


class TestPlacesOfTheStarts:
    def test_the_adjusted_mean_is_the_intercept_of_least_squares(self, random):
        found = estimates_of(random, 9, 0.03, balanced=False)
        design = np.array([[1, each.places] for each in found], dtype=float)
        values = np.array([each.value for each in found])
        (expected, _), (squares,), _, _ = np.linalg.lstsq(design, values, rcond=None)
        variance = squares / 7
        mean = group_mean(found)
        assert mean.value == pytest.approx(expected)
        assert mean.deviation == pytest.approx(math.sqrt(variance))
        assert mean.error == pytest.approx(math.sqrt(variance * np.linalg.inv(design.T @ design)[0, 0]))
        assert mean.freedom == 7
        assert mean.p == pytest.approx(2 * stats.t.sf(abs(mean.value / mean.error), 7))

    def test_of_balanced_groups_it_is_the_plain_mean(self, random):
        found = estimates_of(random, 8, 0.03)
        assert group_mean(found).value == pytest.approx(np.mean([each.value for each in found]))

    @pytest.mark.parametrize(
        "change",
        [
            lambda found: found[: PLACES_FROM - 1],
            lambda found: [*found[:-1], found[-1]._replace(places=None)],
            lambda found: [each._replace(places=2) for each in found],
        ],
        ids=["few groups", "a place that is not known", "one order"],
    )
    def test_what_cannot_be_adjusted_is_the_plain_mean(self, random, change):
        found = change(estimates_of(random, 8, 0.03))
        values = [each.value for each in found]
        expected = stats.ttest_1samp(values, 0)
        mean = group_mean(found)
        assert (mean.value, mean.p) == (pytest.approx(np.mean(values)), pytest.approx(expected.pvalue))
        assert (mean.deviation, mean.freedom) == (pytest.approx(np.std(values, ddof=1)), len(values) - 1)

    @pytest.mark.parametrize("members", [2, 4])
    @pytest.mark.parametrize("balanced", [True, False])
    @pytest.mark.parametrize("count", [4, PLACES_FROM, 7, 16])
    def test_nineteen_of_twenty_intervals_hold_the_truth(self, random, count, balanced, members):
        draws = 1000
        held = 0
        for _ in range(draws):
            interval = group_mean(
                estimates_of(random, count, 0.03, -0.05, members=members, balanced=balanced)
            ).interval(LEVEL)
            held += interval.low <= math.exp(-0.05) <= interval.high
        # 95% of 1,000 with a standard deviation of 6.9.
        assert held >= 0.95 * draws - 4 * 6.9

    def test_without_the_places_it_takes_more_than_twice_as_many_groups(self, random):
        found = estimates_of(random, 400, 0.03)
        plain = group_mean([each._replace(places=None) for each in found])
        assert group_mean(found).deviation == pytest.approx(0.04, rel=0.1)
        assert (plain.deviation / group_mean(found).deviation) ** 2 > 2

    def test_where_the_places_have_no_effect_the_interval_is_hardly_wider(self, random):
        drawn = [estimates_of(random, 8, 0.0) for _ in range(400)]
        spans = [
            [interval.high / interval.low for interval in (group_mean(each).interval(LEVEL) for each in listed)]
            for listed in (drawn, [[one._replace(places=None) for one in each] for each in drawn])
        ]
        assert np.median(spans[0]) - 1 < 1.12 * (np.median(spans[1]) - 1)


def one_block(logarithm):
    """A group whose estimate is exactly that."""
    return MemberPair([TimedTurn(0, 10**6, 1.0)], [TimedTurn(0, 10**6, math.exp(-logarithm))])


def adjusted(values, places):
    """Mean, its standard error and the degrees of freedom of each row, as `group_mean` has them."""
    count = values.shape[1]
    centred = places - places.mean(axis=1, keepdims=True)
    squares = (centred**2).sum(axis=1)
    slope = (centred * values).sum(axis=1) / squares
    left = values - values.mean(axis=1, keepdims=True) - slope[:, None] * centred
    means = values.mean(axis=1) - slope * places.mean(axis=1)
    error = np.sqrt((left**2).sum(axis=1) / (count - 2) * (1 / count + places.mean(axis=1) ** 2 / squares))
    return means, error, count - 2


def false_alarms(random, scatter, level, draws=20_000, freedom=None, places=False):
    """Share of A/A samplings to ±1 (in the unit of `scatter`) at the planned looks whose interval does not hold 0."""
    shape = (draws, LOOKS[-1])
    if freedom is None:
        estimates = random.normal(0, scatter, shape)
    else:  # with long tails
        estimates = scatter * random.standard_t(freedom, shape) / math.sqrt(freedom / (freedom - 2))
    # Of two members one starts first; in the next group the other.
    apart = np.repeat(random.choice([-1.0, 1.0], (draws, LOOKS[-1] // 2)), 2, axis=1)
    apart[:, 1::2] *= -1
    going, alarms = np.ones(draws, bool), 0
    for look in LOOKS:
        seen = estimates[:, :look]
        if places and look >= PLACES_FROM:
            means, error, free = adjusted(seen + 0.5 * scatter * apart[:, :look], apart[:, :look])
        else:
            means, error, free = seen.mean(axis=1), seen.std(axis=1, ddof=1) / math.sqrt(look), look - 1
        reach = stats.t.ppf((1 + level) / 2, free) * error
        stops = going & ((reach <= 1) | (look == LOOKS[-1]))
        alarms += (stops & (np.abs(means) > reach)).sum()
        going &= ~stops
    return alarms / draws


def test_the_simulated_mean_is_the_one_of_the_analysis(random):
    found = estimates_of(random, 9, 0.03, balanced=False)
    values, places = (np.array([each], dtype=float) for each in zip(*found, strict=True))
    (mean,), (error,), freedom = adjusted(values, places)
    assert (mean, error, freedom) == (
        pytest.approx(group_mean(found).value), pytest.approx(group_mean(found).error), group_mean(found).freedom,
    )  # fmt: skip


class TestPlannedLooks:
    @pytest.mark.parametrize("places", [False, True])
    @pytest.mark.parametrize("freedom", [None, 5])
    def test_stopping_early_raises_5_false_alarms_of_100_at_most_whatever_the_scatter(self, random, freedom, places):
        worst = max(
            false_alarms(random, scatter, PLANNED_LEVEL, freedom=freedom, places=places)
            for scatter in np.geomspace(0.3, 6, 10)
        )
        # 4.5% is the largest of these; a share of 20,000 draws has a standard deviation of 0.15%.
        assert worst <= 0.05

    def test_plain_intervals_would_raise_more(self, random):
        assert max(false_alarms(random, scatter, LEVEL) for scatter in (1.5, 2.0, 2.5)) > 0.07

    def test_a_whole_sampling_with_the_functions_that_decide(self, random):
        alarms, draws, stopped = 0, 80, []
        for _ in range(draws):
            groups = [one_block(each) for each in random.normal(0, 0.045, LOOKS[-1])]
            ratios = (paired_ratio(groups[:look], planned=True) for look in LOOKS)
            found = next(each for each in ratios if precise(each, 0.03) or each.groups == LOOKS[-1])
            alarms += found.p < 0.05
            stopped.append(found.groups)
        assert alarms <= draws * 0.05 + 2.5 * math.sqrt(draws * 0.05 * 0.95)
        assert len(set(stopped)) > 1, "some stop early"

    def test_interval_and_p_say_the_same(self, random):
        for _ in range(200):
            found = paired_ratio([one_block(each) for each in random.normal(0.03, 0.04, 8)], planned=True)
            assert (found.p < 0.05) == (not found.interval.low <= 1 <= found.interval.high)

    def test_the_interval_is_that_of_its_level(self, random):
        estimates = random.normal(0, 0.03, 8)
        expected = stats.ttest_1samp(estimates, 0).confidence_interval(PLANNED_LEVEL)
        found = paired_ratio([one_block(each) for each in estimates], planned=True)
        assert (math.log(found.interval.low), math.log(found.interval.high)) == pytest.approx(tuple(expected), abs=1e-6)

    def test_sampling_stops_at_planned_looks_only(self):
        narrow = [one_block(each) for each in (0.001, -0.001) * 4]
        assert [precise(paired_ratio(narrow[:count], True), 0.03) for count in range(3, 9)] == [
            False, True, False, False, False, True,
        ]  # fmt: skip
        assert not precise(paired_ratio([one_block(each) for each in (0.3, -0.3, 0.3, -0.3)], True), 0.03)
        assert not precise(None, 0.03)
        assert [next_look(count) for count in (0, 3, 4, 63, 64)] == [4, 4, 8, 64, None]
