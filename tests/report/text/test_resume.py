"""What `--dry-run` prints: every case, why it is stale, and what would be measured."""

from __future__ import annotations

from lenet.cases.case import Case
from lenet.report.text.resume import resume_text
from lenet.store.freshness import CaseState, State

FOUND = [
    CaseState(Case(repetition=0), State.DONE),
    CaseState(Case(repetition=1), State.STALE, "mindspore 2.9.0, now 2.10.0; " + "machine a, now b; " * 5),
    CaseState(Case(repetition=2), State.FAILED, "crashed: why"),
    CaseState(Case(repetition=3), State.MISSING),
]


def test_every_case_with_its_reason_in_80_columns():
    lines = resume_text(FOUND).splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines if line[:1].isalpha()][:4] == ["done", "stale", "failed", "missing"]
    assert "         mindspore 2.9.0, now 2.10.0; machine a, now b;" in "\n".join(lines)
    assert "         crashed: why" in lines
    assert "4 cases: 1 done, 1 stale, 1 failed, 1 missing" in lines
    assert "--resume would measure 2 of them" in lines
    assert "superseded/" in lines[-1]


def test_options():
    assert "--resume --retry-failed would measure 3 of them" in resume_text(FOUND, retry_failed=True)
    assert "--resume --force would measure 4 of them" in resume_text(FOUND, force=True)


def test_all_done():
    lines = resume_text(FOUND[:1]).splitlines()
    assert lines[-1] == "--resume would measure 0 of them"
