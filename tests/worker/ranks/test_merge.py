"""The ranks' reports as one."""

from __future__ import annotations

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenet.store.events import Compiled, Evaluated, Failed, Finished, Resident, Started, Steps
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


def finished(weights="w", wall=5.0, peak=100):
    phases = dict.fromkeys(
        (f"{name}_seconds" for name in ("import_and_setup", "compile_and_first_step", "training", "evaluation")), 1.0
    )
    return Finished(
        phases=Phases(**phases, resident_seconds=0, other_seconds=wall - 4, wall_seconds=wall),
        final_weights_sha256=weights, losses_sha256="own", peak_memory_bytes=peak,
    )  # fmt: skip


def test_a_window_is_all_ranks_images_in_the_slowest_ranks_time():
    merger = Merger(3)
    assert merger.take(0, steps(seconds=1.0, losses=(2.0, 1.0))) == []
    assert merger.take(2, steps(seconds=4.0, losses=(4.0, 1.0))) == []
    (window,) = merger.take(1, steps(seconds=2.0, losses=(3.0, 4.0)))
    assert (window.images, window.seconds, window.steps) == (96, 4.0, 2)
    assert window.losses == (3.0, 2.0)
    assert window.images_per_second == 24


def test_the_digest_is_over_the_merged_losses():
    merger = Merger(2)
    merger.take(0, steps(losses=(2.0, 1.0)))
    merger.take(1, steps(losses=(4.0, 2.0)))
    merger.take(0, finished(wall=5.0, peak=100))
    (end,) = merger.take(1, finished(wall=7.0, peak=50))
    assert end.losses_sha256 == hashlib.sha256(struct.pack("<2f", 3.0, 1.5)).hexdigest()
    assert end.phases.wall_seconds == 7.0
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
    assert {each.seconds for each in merged} == {3.0}


def test_a_failure_goes_through_at_once():
    merger = Merger(2)
    (failed,) = merger.take(1, Failed(status=Status.DIVERGED, reason="nan"))
    assert failed.status is Status.DIVERGED
    assert failed.reason == "rank 1 of 2: nan"


@pytest.mark.parametrize(
    ("one", "other", "complaint"),
    [
        (started("a"), started("b"), "do not begin with the same weights"),
        (finished("a"), finished("b"), "end with the same weights"),
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
    assert merger.take(1, Compiled(seconds=3)) == [Compiled(seconds=3)]
    window = Resident(epoch=1, first_step=0, steps=5, images=80, seconds=1, warmup=False)
    merger.take(0, window)
    (resident,) = merger.take(1, window.model_copy(update={"seconds": 2.0}))
    assert (resident.images, resident.seconds) == (160, 2.0)
    judged = Evaluated(
        epoch=1, steps=2, training_seconds=1, seconds=1, images=100, correct=50, distinct_answers=9, training_loss=1.0
    )
    merger.take(0, judged)
    (merged,) = merger.take(1, judged.model_copy(update={"training_seconds": 2.0, "training_loss": 3.0}))
    assert (merged.training_seconds, merged.training_loss, merged.images) == (2.0, 2.0, 100)


def test_a_loss_that_one_rank_lost_is_null():
    merger = Merger(2)
    merger.take(0, steps(losses=(1.0, None)))
    (window,) = merger.take(1, steps(losses=(1.0, 2.0)))
    assert window.losses == (1.0, None)
