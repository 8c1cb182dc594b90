"""Whether a run follows from its raw events: one function for each rule, over what was read and nothing else.

Nothing is executed and nothing is repaired. A figure is refused if it is not, to the last bit, what its raw samples
give. Where only a clock's own rounding lies between two sums, that rounding is the tolerance (`clock.py`).
"""
