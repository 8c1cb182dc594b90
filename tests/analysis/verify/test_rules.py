"""The rules of a case as a whole."""

from __future__ import annotations

from typing import get_args

from lenet.analysis.verify import counts, limits
from lenet.analysis.verify.rules import CASE_RULES
from lenet.cases.case import DeviceTarget
from lenet.dataset.known import KNOWN
from lenet.machine.card import describe
from lenet.store.events import Event


def test_every_type_of_event_has_its_stage():
    """A type that no rule knows must fail here and not in a user's hands."""
    assert set(counts.STAGES) == set(get_args(Event))


def test_the_arithmetic_is_that_of_the_layers():
    assert limits.forward_flops() == 833_040
    assert limits.training_flops() == 2_263_920
    card = describe().model_copy(update={"usable_cores": 2, "instruction_sets": ("avx", "avx2")})
    assert limits.peak_flops(card, DeviceTarget.CPU) == 2 * 6.5e9 * 32
    assert limits.peak_flops(card.model_copy(update={"instruction_sets": ()}), DeviceTarget.CPU) == 2 * 6.5e9 * 64
    assert limits.peak_flops(card, DeviceTarget.GPU) > 1e15


def test_the_known_digests_are_those_of_the_data(digits):
    assert KNOWN["digits"] == digits.card


def test_the_known_digest_of_mnist(mnist):
    assert KNOWN["mnist"] == mnist.card


def test_every_rule_documents_what_it_demands():
    assert all(rule.__doc__ and rule.__doc__.endswith(".") for rule in CASE_RULES.values())
    assert len(set(CASE_RULES)) == len(CASE_RULES) > 20
