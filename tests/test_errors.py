"""Why an operation failed: one line, the first fault first, nothing that moves the terminal's cursor."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from lenet.errors import REASON_LENGTH, UNKNOWN_KEY, Problem, problems, reason


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: int = 1

    @field_validator("number")
    @classmethod
    def _even(cls, number):
        if number % 2:
            raise ValueError("choose an even number")
        return number


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    inner: tuple[Inner, ...]


def fault(data):
    with pytest.raises(ValidationError) as raised:
        Outer.model_validate(data)
    return raised.value


def test_every_problem_with_its_place():
    found = problems(fault({"inner": [{"number": 3}, {"number": "x"}], "other": 1}))
    assert found[0] == Problem(("inner", 0, "number"), "choose an even number")
    assert found[1].path == ("inner", 1, "number")
    assert found[2] == Problem(("other",), UNKNOWN_KEY)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (fault({"inner": [{"number": 3}]}), "inner.0.number: choose an even number"),
        (fault({"inner": [], "a\x1b[2J\n": 1}), r"a\x1b[2J : unknown key"),
        (OSError(2, "No such file or directory", "/a"), "No such file or directory"),
        (OSError("gone"), "gone"),
        (ValueError("two\nlines"), "two lines"),
    ],
)
def test_a_reason_is_one_line_that_can_be_printed(error, words):
    assert reason(error) == words


def test_a_long_reason_is_cut():
    assert len(reason(ValueError("x" * 10_000))) == REASON_LENGTH
