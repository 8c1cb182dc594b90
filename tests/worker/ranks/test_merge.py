"""The ranks' events as one case's."""

from __future__ import annotations

import hashlib
import struct
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenet.store.events import (
    Compiled,
    Evaluated,
    Event,
    Failed,
    Finished,
    Layer,
    Resident,
    Sketched,
    Started,
    Steps,
    Traced,
)
from lenet.store.record import Phases, Software, Status
from lenet.worker.ranks.merge import DisagreementError, Merger

SOFTWARE = Software(framework_version="2", python_version="3", numpy_version="1")


def steps(first=0, seconds=1.0, losses=(2.0, 1.0), images=32, **rest):
    return Steps(
        epoch=1,
        first_step=first,
        steps=len(losses),
        images=images,
        seconds=seconds,
        warmup=False,
        losses=losses,
        **rest,
    )


def started(weights):
    return Started(software=SOFTWARE, initial_weights_sha256=weights)


def sketched(norm):
    return Sketched(step=1, layers=(Layer(name="a", sha256="0" * 64, norm=norm, sketch=(norm,)),))


def finished(weights="w", wall=5.0, peak=100):
    phases = dict.fromkeys(
        (f"{name}_seconds" for name in ("import_and_setup", "compile_and_first_step", "training", "evaluation")), 1.0
    )
    return Finished(
        phases=Phases(**phases, resident_seconds=0, other_seconds=wall - 4, wall_seconds=wall),
        final_weights_sha256=weights, losses_sha256="own", peak_memory_bytes=peak,
    )  # fmt: skip


def test_a_window_is_all_ranks_images_in_the_time_of_rank_0():
    """The slowest rank's time of each window would add up to more than the training took."""
    merger = Merger(3)
    assert merger.take(0, steps(seconds=1.0, losses=(2.0, 1.0))) == []
    assert merger.take(2, steps(seconds=4.0, losses=(4.0, 1.0))) == []
    (window,) = merger.take(1, steps(seconds=2.0, losses=(3.0, 4.0)))
    assert (window.images, window.seconds, window.steps) == (96, 1.0, 2)
    assert window.losses == (3.0, 2.0)
    assert window.images_per_second == 96


def test_the_digest_is_over_the_merged_losses():
    merger = Merger(2)
    merger.take(0, steps(losses=(2.0, 1.0)))
    merger.take(1, steps(losses=(4.0, 2.0)))
    merger.take(0, finished(wall=5.0, peak=100))
    (end,) = merger.take(1, finished(wall=7.0, peak=50))
    assert end.losses_sha256 == hashlib.sha256(struct.pack("<2f", 3.0, 1.5)).hexdigest()
    assert end.phases.wall_seconds == 5.0
    assert end.peak_memory_bytes == 150


@given(st.lists(st.integers(0, 2), max_size=60))
def test_any_interleaving_gives_the_same(order):
    """A rank may be windows ahead of another."""
    queues = [[steps(first=2 * i, seconds=1.0 + rank) for i in range(20)] for rank in range(3)]
    merger, merged = Merger(3), []
    for rank in [*order, *[0] * 20, *[1] * 20, *[2] * 20]:
        if queues[rank]:
            merged += merger.take(rank, queues[rank].pop(0))
    assert [each.first_step for each in merged] == list(range(0, 40, 2))
    assert {each.seconds for each in merged} == {1.0}


def test_a_failure_is_passed_on_at_once():
    merger = Merger(2)
    (failed,) = merger.take(1, Failed(status=Status.DIVERGED, reason="nan"))
    assert failed.status is Status.DIVERGED
    assert failed.reason == "rank 1 of 2: nan"


@pytest.mark.parametrize(
    ("one", "other", "complaint"),
    [
        (started("a"), started("b"), "do not begin with the same weights"),
        (finished("a"), finished("b"), "end with the same weights"),
        (sketched(1.0), sketched(2.0), "same weights after step 1"),
        (steps(first=0), steps(first=2), "same step"),
        (steps(losses=(1.0,)), steps(losses=(1.0, 2.0)), "same steps"),
        (steps(), Compiled(seconds=1), "do not report the same"),
    ],
)  # fmt: skip
def test_ranks_that_do_not_do_the_same_training(one, other, complaint):
    merger = Merger(2)
    merger.take(0, one)
    with pytest.raises(DisagreementError, match=complaint):
        merger.take(1, other)


def test_the_other_events():
    merger = Merger(2)
    merger.take(0, started("a"))
    (begun,) = merger.take(1, started("a"))
    assert begun.software.details["ranks"] == "2"
    merger.take(0, Compiled(seconds=1))
    assert merger.take(1, Compiled(seconds=3)) == [Compiled(seconds=1)]
    window = Resident(epoch=1, first_step=0, steps=5, images=80, seconds=1, warmup=False)
    merger.take(0, window)
    (resident,) = merger.take(1, window.model_copy(update={"seconds": 2.0}))
    assert (resident.images, resident.seconds) == (160, 1.0)


def test_the_training_loss_is_the_mean_of_the_merged_losses_since_the_last_evaluation():
    merger = Merger(2)
    result = Evaluated(epoch=1, steps=2, training_seconds=1, seconds=1, images=9, correct=5, distinct_answers=9)
    means = []
    for factor in (1.0, 0.5):
        merger.take(0, steps(losses=(2.0 * factor, 1.0 * factor)))
        merger.take(1, steps(losses=(4.0 * factor, 1.0 * factor)))
        merger.take(0, result)
        (merged,) = merger.take(1, result.model_copy(update={"seconds": 2.0}))
        means.append((merged.training_loss, merged.seconds))
    assert means == [(2.0, 1), (1.0, 1)]


def test_a_merged_loss_is_a_float32_number():
    """As every loss of one process is; the digest in the record is over float32 numbers."""
    one, two = 1.0, 1.0 + 2**-23
    merger = Merger(2)
    merger.take(0, steps(losses=(one,)))
    (window,) = merger.take(1, steps(losses=(two,)))
    assert struct.unpack("<f", struct.pack("<f", window.losses[0])) == window.losses
    assert window.losses[0] != (one + two) / 2


SAMPLES = {
    Started: started("a"),
    Compiled: Compiled(seconds=1),
    Steps: steps(),
    Traced: Traced(step=0, images_sha256=None, labels_sha256=None, layers=()),
    Sketched: sketched(1.0),
    Evaluated: Evaluated(epoch=1, steps=2, training_seconds=1, seconds=1, images=9, correct=5, distinct_answers=9),
    Resident: Resident(epoch=1, first_step=0, steps=5, images=80, seconds=1, warmup=False),
    Failed: Failed(status=Status.CRASHED, reason="x"),
    Finished: finished(),
}


@pytest.mark.parametrize("kind", get_args(Event))
def test_every_type_of_event_is_merged_or_refused(kind):
    merger = Merger(2)
    first = merger.take(0, SAMPLES[kind])
    if kind is Traced:
        with pytest.raises(DisagreementError, match="not traced"):
            merger.take(1, SAMPLES[kind])
    else:
        (merged,) = first or merger.take(1, SAMPLES[kind])
        assert type(merged) is kind


def test_a_loss_that_one_rank_lost_is_null():
    merger = Merger(2)
    merger.take(0, steps(losses=(1.0, None)))
    (window,) = merger.take(1, steps(losses=(1.0, 2.0)))
    assert window.losses == (1.0, None)
