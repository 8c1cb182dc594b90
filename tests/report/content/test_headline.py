"""The headline and the leaders: sentences that the figures bear."""

from __future__ import annotations

import re

import pytest

from lenet.cases.case import Mode
from lenet.cases.frameworks import Framework
from lenet.report.content.gather import gather
from lenet.report.content.grids import history, leaderboard
from lenet.report.content.headline import headline
from lenet.store.record import Status


@pytest.fixture
def report(tmp_path, measured, write_run):
    def make(*runs, references=None, **cpus):
        for index, records in enumerate(runs):
            write_run(tmp_path / f"run-{index}", records, cpu=f"CPU {index if cpus.get('several') else 'one'}")
        return gather([tmp_path], references)

    return make


def test_fastest_by_how_much_and_how_certain(report, measured):
    assert headline(report([measured((990, 1000, 1010)), measured((190, 200, 210), mode=Mode.PYNATIVE)])) == [
        "Fastest: Graph (functional step) on CPU at batch 32, 1,000 images/s (mindspore 2.10.0).",
        "That is 5.00× the best of PyNative (200) on the same device.",
        "Its spread does not overlap with that of the second.",
        "It is one process (3 windows); another may be faster or slower: measure several with --repeat.",
        "Learning was not measured: no case trained whole epochs (--epochs).",
    ]


def test_spreads_that_overlap_leave_the_question_open(report, measured):
    sentences = headline(report([measured((500, 1000, 1500)), measured((400, 900, 1400), mode=Mode.JIT)]))
    assert "which of the two is faster stays open" in sentences[2]


def test_without_a_spread_nothing_is_certain(report, measured):
    sentences = headline(report([measured((1000,)), measured((900,), mode=Mode.JIT)]))
    assert sentences[2] == "Whether that is more than noise stays open: a figure has no spread."


def test_a_lead_within_groups_is_established_though_the_machine_changes_more(report, together):
    """Between groups the machine differs by 30%, and the spreads of the two overlap."""
    sentences = headline(report(together(4, 1.05)))
    assert sentences[0].startswith("Fastest: Graph")
    assert re.fullmatch(
        r"Within 4 groups of workers that took turns it is 1\.0\d× to 1\.0\d× as fast as the second: it is faster\.",
        sentences[2],
    )


def test_a_lead_that_is_none_stays_open_and_says_what_it_takes(report, together):
    sentence = headline(report(together(3, 1.0, own=0.3)))[2]
    assert "as fast as the second: which of the two is faster stays open (±1% takes " in sentence


def test_one_group_speaks_for_its_processes_only(report, together):
    sentence = headline(report(together(1, 3.0)))[2]
    assert sentence.startswith("Within 1 group of workers that took turns it is 2.9")
    assert sentence.endswith("in these processes only: which is faster in others stays open (--repeat 3 or more).")


def test_independent_processes_are_tested_too(report, apart):
    sentence = headline(report(apart(4, 2.0)))[2]
    assert sentence.startswith("Of independent processes it is 1.9")
    assert sentence.endswith(": it is faster.")


def test_several_processes_are_counted(report, measured):
    assert "It is the median of 2 processes." in headline(report([measured(), measured(repetition=1)]))


def test_a_failed_case_is_never_the_fastest(report, measured):
    bad = measured((9000, 9000), mode=Mode.JIT, status=Status.DIVERGED, reason="nan")
    sentences = headline(report([measured((10, 10)), bad]))
    assert sentences[0].startswith("Fastest: Graph")
    assert sentences[1].startswith("Nothing else was measured")
    assert sentences[-1] == "1 of 2 cases did not succeed: 1 diverged."


def test_nothing_measured(report, measured):
    sentences = headline(report([measured((), status=Status.UNAVAILABLE, reason="no GPU")]))
    assert sentences[0] == "Nothing was measured: no case succeeded."
    assert sentences[-1] == "1 of 1 case did not succeed: 1 unavailable."


def test_learning_is_compared_with_the_reference(report, trained, reference):
    sentences = headline(report([trained(nth=1), trained(nth=2, right=0.5, mode=Mode.JIT)], references=[reference]))
    assert sentences[0].startswith("Fastest: Graph")
    assert sentences[-2].endswith("(2 trainings); 1 of 2 inside the reference band.")
    assert sentences[-1] == "1 of 2 cases did not succeed: 1 too slow."


def test_without_a_reference_there_is_no_band(report, trained):
    assert headline(report([trained(nth=1), trained(nth=2)], references=[]))[-1].endswith("(2 trainings).")


def test_a_plateau_did_not_learn(report, measured):
    sentences = headline(report([measured(epochs=1, status=Status.PLATEAU, reason="a constant answer")]))
    assert "It did not learn: no training of whole epochs succeeded." in sentences


def test_the_leaderboard_has_each_machine_once(report, measured):
    first = [measured((100, 100)), measured((300, 300), mode=Mode.JIT)]
    second = [measured((600, 600)), measured((9000, 9000), mode=Mode.JIT, status=Status.CRASHED, reason="gone")]
    table = leaderboard(report(first, second, several=True))
    assert [line[2:] for line in table.lines] == [
        ["Graph (functional step), batch 32, default", "mindspore 2.10.0", "600", "100%", "–"],
        ["jit (whole step), batch 32, default", "mindspore 2.10.0", "300", "50%", "–"],
    ]
    assert [line[0].partition(",")[0] for line in table.lines] == ["CPU 1", "CPU 0"]


def test_a_single_machine_has_no_leaderboard(report, measured):
    assert leaderboard(report([measured(), measured(mode=Mode.JIT)])).lines == []


def test_versions_are_in_their_order_and_each_over_the_one_before(report, measured):
    runs = [
        [measured((speed, speed), version=name)] for name, speed in (("2.10.0", 50), ("2.7.0", 100), ("2.9.0", 200))
    ]
    found = history(report(*runs))
    assert [(line[3], line[5], line[6]) for line in found.lines] == [
        ("mindspore 2.7.0", "100", "–"),
        ("mindspore 2.9.0", "200", "2.00×"),
        ("mindspore 2.10.0", "50", "0.25×"),
    ]


class TestMindSporeFirst:
    def test_a_faster_peer_is_a_comparison(self, report, measured):
        own = [measured((100, 100)), measured((50, 50), mode=Mode.PYNATIVE)]
        peer = measured((300, 300), framework=Framework.PYTORCH, mode=Mode.EAGER, version="2.13.0")
        sentences = headline(report([*own, peer]))
        assert sentences[0] == "Fastest: Graph (functional step) on CPU at batch 32, 100 images/s (mindspore 2.10.0)."
        assert sentences[1] == "That is 2.00× the best of PyNative (50) on the same device."
        assert "pytorch 2.13.0, eager at batch 32, default: 300 images/s, 3.00× that." in sentences

    def test_a_peer_elsewhere_is_none(self, report, measured):
        peer = measured((300, 300), framework=Framework.PYTORCH, mode=Mode.EAGER)
        assert not any("pytorch" in each for each in headline(report([measured()], [peer], several=True)))

    def test_a_peer_alone_is_the_fastest(self, report, measured):
        peer = measured((300, 300), framework=Framework.PYTORCH, mode=Mode.EAGER, version="2.13.0")
        assert headline(report([peer]))[0].endswith("300 images/s (pytorch 2.13.0).")


def test_what_the_best_profile_gains(report, measured):
    (words,) = (
        each
        for each in headline(report([measured((100, 101, 102)), measured((400, 404, 408), profile="fast")]))
        if each.startswith("As installed")
    )
    assert words.startswith("As installed the same case has 101 images/s: its profile gains 4.00×. Its spread does not")


def test_a_best_case_as_installed_gains_nothing(report, measured):
    cases = [measured((100, 100)), measured((400, 400), profile="fast"), measured((900, 900), mode=Mode.JIT)]
    assert not any("As installed" in each for each in headline(report(cases)))


def test_what_the_newest_release_changed(report, measured):
    runs = [
        [measured((speed * (1 + i / 100), speed), version=name, repetition=i) for i in range(4)]
        for name, speed in (("2.9.0", 200), ("2.10.0", 50))
    ]
    sentences = headline(report(*runs))
    assert "Release 2.10.0 against 2.9.0: 1 slower of 1 case (table --by version)." in sentences
