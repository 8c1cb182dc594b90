"""Which records are compared, and in which axes the two sides may differ."""

from __future__ import annotations

import pytest

from lenet.analysis.selection import COMPARED, parse_over, select
from lenet.analysis.verdict import Mark
from lenet.cases.values import Mode
from lenet.errors import UsageError
from tests.analysis.test_compare import STEADY, only, processes, record


class TestPlaces:
    def test_another_version_is_compared_unless_a_side_has_several(self):
        a, b = processes(STEADY, version="2.7.0"), processes([2 * each for each in STEADY], version="2.10.0")
        found = only(a, b)
        assert found.mark is Mark.FASTER
        assert (found.values_a["framework_version"], found.values_b["framework_version"]) == ("2.7.0", "2.10.0")
        assert select([*a, *b], a).over == ["machine"]

    def test_another_machine_is_compared_and_named_unless_a_side_has_several(self):
        a, b = processes(STEADY, machine="m1"), processes(STEADY, machine="m2")
        found = only(a, b)
        assert (found.values_a["machine"], found.values_b["machine"]) == ("m1", "m2")
        assert select([*a, *b], a).over == ["framework_version"]

    def test_machines_that_took_turns_over_the_cases_are_no_several(self):
        ours = [record([1.0] * 3, machine="m1"), record([1.0] * 3, machine="m2", batch_size=64)]
        assert select(ours, ours).over == list(COMPARED)


class TestOver:
    def test_one_axis_over_another(self):
        both = [*processes(STEADY), *processes([2 * each for each in STEADY], mode=Mode.JIT)]
        pair = select(both, both, parse_over("mode=graph,JIT"))
        assert only(pair.a, pair.b, over=pair.over).ratio == pytest.approx(2)

    def test_a_value_that_no_record_has(self):
        with pytest.raises(UsageError, match="no record has mode=pynative; there are graph"):
            select(processes(STEADY), processes(STEADY), parse_over("mode=graph,pynative"))

    def test_an_axis_of_which_a_side_has_several_needs_its_values(self):
        both = [*processes(STEADY), *processes(STEADY, mode=Mode.JIT)]
        with pytest.raises(UsageError, match="write --over mode=VALUE-IN-A,VALUE-IN-B"):
            select(both, processes(STEADY), parse_over("mode"))

    @pytest.mark.parametrize("text", ["speed", "mode=graph", "mode=a,b,c", "repetition=0,1", ""])
    def test_nonsense_is_refused(self, text):
        with pytest.raises(UsageError, match="--over"):
            parse_over(text)

    def test_aliases_are_understood(self):
        assert [parse_over(each).axis.name for each in ("version", "device")] == ["framework_version", "device_target"]
