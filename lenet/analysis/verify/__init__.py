"""Whether a run says what its raw events say: one function a rule, each over what was read and nothing else.

Nothing is executed and nothing is repaired. A figure is refused where it is not, to the last bit, what its raw samples
give. Where only a clock's own rounding lies between two sums, that rounding is the tolerance (`clock.py`).
"""

from lenet.analysis.verify.evidence import Attempt, Evidence, Finding, Numbered, Place, attempts, own_attempt
from lenet.analysis.verify.rules import CASE_RULES, judge

__all__ = ["CASE_RULES", "Attempt", "Evidence", "Finding", "Numbered", "Place", "attempts", "judge", "own_attempt"]
