"""Files of others with any value replaced by any other: a reader accepts them or raises one sentence."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lenet.analysis.traces import losses
from lenet.cases.case import Case
from lenet.cases.matrix import Matrix
from lenet.cases.presets import load_file
from lenet.dataset.idx import read_images, read_labels
from lenet.errors import DatasetError, StoreError, UsageError
from lenet.report import render, rows
from lenet.store.events import Finished, Started, Steps
from lenet.store.record import Evaluation, Phases, Record, Software, Status, Window, summarise
from lenet.store.run import Store

QUICK = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from([10**400, -1, 0, 2**63, 1e308, 1e-320, "../../x", "<script>", "\x00\n", "9999-12-31T23:59:59Z"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
NAMES = ("import_and_setup", "compile_and_first_step", "training", "evaluation", "resident", "other", "wall")
PHASES = Phases(**{f"{name}_seconds": 1.0 for name in NAMES})
SOFTWARE = Software(framework_version="2", python_version="3", numpy_version="1", details={"a": "b"})
WINDOW = Window(epoch=1, first_step=60, steps=2, images=64, seconds=1.0, warmup=False)


def places(content, path=()):
    """The path of every value in a JSON document."""
    yield path
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in inner:
        yield from places(value, (*path, key))


def spoiled(draw, content):
    """`content` with anything in the place of one or two of its values."""
    for _ in range(draw(st.integers(1, 2))):
        *path, last = draw(st.sampled_from([path for path in places(content) if path]))
        home = content
        for key in path:
            home = home[key]
        home[last] = draw(ANYTHING)
    return content


@pytest.fixture(scope="module")
def record(digits):
    case = Case(dataset="digits")
    judged = Evaluation(
        epoch=1, steps=1, training_seconds=1, seconds=1, images=10, correct=5, distinct_answers=3, training_loss=2.5
    )
    now = datetime(2026, 1, 2, tzinfo=timezone.utc)
    return Record(
        **{"case_id": case.id, "case": case, "status": Status.OK, "started_at": now, "finished_at": now},
        **{"dataset": digits.card, "windows": (WINDOW,), "evaluations": (judged,), "phases": PHASES},
        software=SOFTWARE,
        summary=summarise(PHASES, (WINDOW,), (WINDOW,), (judged,), 2.5, 1000),
    )


@pytest.fixture
def store(new_store, digits, record):
    return new_store([record.case], digits)


@given(data=st.data())
@QUICK
def test_a_record(store, record, data):
    content = spoiled(data.draw, json.loads(record.model_dump_json()))
    store.record_path(record.case).write_text(json.dumps(content))
    try:
        (found,) = store.records()
    except StoreError as error:
        assert str(store.path) in str(error)
        return
    for form in ("terminal", "github", "html", "csv", "json"):
        text = render(rows([found], "run"), form)
        assert "<script>" not in text or form != "html"


@given(data=st.data())
@QUICK
def test_a_manifest(store, data):
    path = store.path / "manifest.json"
    whole = store.manifest.model_dump_json()
    path.write_text(json.dumps(spoiled(data.draw, json.loads(whole))))
    try:
        found = Store.open(store.path)
        for case in found.manifest.cases:
            assert found.record_path(case).resolve().parent == (store.path / "records").resolve()
            assert found.log_path(case).resolve().parent == (store.path / "logs").resolve()
    except StoreError as error:
        assert str(store.path) in str(error)
    finally:
        path.write_text(whole)


@given(data=st.data())
@QUICK
def test_an_event(store, record, data):
    event = data.draw(
        st.sampled_from(
            [
                Steps(**WINDOW.model_dump(), losses=(2.5, None)),
                Started(software=SOFTWARE, initial_weights_sha256="0"),
                Finished(phases=PHASES, final_weights_sha256="0", losses_sha256="0", peak_memory_bytes=None),
            ]
        )
    )
    content = {"case_id": record.case_id, "attempt": "a", **event.model_dump(mode="json")}
    (store.path / "events.jsonl").write_text(json.dumps(spoiled(data.draw, content)) + "\n")
    try:
        losses(store, record.case)
    except StoreError as error:
        assert "line 1" in str(error)


@given(st.binary(max_size=64), st.sampled_from([b"", b"\0\0\x08\x03", b"\0\0\x08\x01", b"\x1f\x8b\x08\0"]))
@QUICK
def test_an_idx_file(tmp_path, data, magic):
    for name in ("images-idx3-ubyte", "labels.gz"):
        path = tmp_path / name
        path.write_bytes(magic + data)
        for read in (read_images, read_labels):
            try:
                assert len(read(path)) >= 1
            except DatasetError as error:
                assert name in str(error)


@given(data=st.data())
@QUICK
def test_a_matrix(tmp_path, data):
    chosen = data.draw(st.dictionaries(st.sampled_from([*Matrix.model_fields, "x"]), ANYTHING, max_size=4))
    path = tmp_path / "matrix.toml"
    path.write_text("".join(f"{key} = {_toml(value)}\n" for key, value in chosen.items()), "utf-8", "replace")
    try:
        assert load_file(path).cases()
    except UsageError as error:
        assert str(path) in str(error)


def _toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float):
        return repr(value).replace("inf", "inf").replace("nan", "nan")
    return json.dumps(value) if value is not None else '""'


def test_a_matrix_that_would_fill_the_memory(tmp_path):
    path = tmp_path / "matrix.toml"
    path.write_text(f"batch_sizes = {list(range(1, 5001))}\nseeds = {list(range(1, 5001))}\nrepeat = 1000\n")
    with pytest.raises(UsageError, match="150,000,000,000 cases"):
        load_file(path)


@pytest.mark.parametrize("text", ["a = " + "[" * 50_000, "a = " + "{b=" * 20_000, "[" + "a." * 5_000 + "a]"])
def test_a_deeply_nested_matrix(tmp_path, text):
    path = tmp_path / "matrix.toml"
    path.write_text(text)
    with pytest.raises(UsageError):
        load_file(path)
