"""The steady state: what is cut, what is called a drift, and how often nothing is called something."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lenet.analysis.steady import steady, trend, truncation

positive = st.floats(min_value=1, max_value=1e6)


def test_the_trend_test_is_kendalls():
    rng = np.random.default_rng(1)
    for size in (8, 20, 60):
        values = rng.normal(size=size).tolist()
        # scipy's asymptotic p has no continuity correction: it must lie on either side of one pair more or less
        asymptotic = stats.kendalltau(range(size), values, method="asymptotic").pvalue
        assert asymptotic <= trend(values) <= asymptotic + 0.2
        exact = stats.kendalltau(range(size), values, method="exact").pvalue
        assert trend(values) == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0], [3.0] * 20])
def test_no_trend_in_too_few_or_equal_values(values):
    assert trend(values) == 1


def test_a_trendless_process_keeps_all_its_windows():
    rng = np.random.default_rng(2)
    cut = sum(steady(rng.normal(1000, 100, 10).tolist()).start > 0 for _ in range(1000))
    assert cut <= 20, "the test's level is 1%"


def test_a_slow_start_is_cut_where_it_ends():
    rng = np.random.default_rng(3)
    rates = [*rng.normal(500, 5, 8).tolist(), *rng.normal(1000, 5, 22).tolist()]
    found = steady(rates)
    assert 8 <= found.start <= 11, "all of the start, and little more"
    assert not found.drifts


def test_a_drift_that_never_ends_is_called_one():
    rng = np.random.default_rng(4)
    assert steady([1000 - 15 * i + noise for i, noise in enumerate(rng.normal(0, 3, 30).tolist())]).drifts


def test_a_drift_too_small_to_matter_is_none():
    assert not steady([1000 + 0.1 * i for i in range(30)]).drifts


def test_a_long_series_is_cut_at_a_batch():
    found = steady([500.0] * 300 + [1000.0] * 700)
    assert 283 <= found.start <= 317
    assert not found.drifts


@given(st.lists(positive, min_size=1, max_size=80))
def test_half_is_kept_at_least_and_nothing_raises(rates):
    assert 0 <= truncation(rates) <= len(rates) // 2
    assert steady(rates).start <= (len(rates) + 2) // 2
