"""A run over several machines: the card of each is in it."""

from __future__ import annotations

import json
import shutil

import pytest
from forging import derive_again, edit, edit_events, no_tables, refused_by

from lenet.analysis.verify import limits
from lenet.analysis.verify import run as run_rules
from lenet.analysis.verify.document import document
from lenet.analysis.verify.evidence import Evidence
from lenet.cases.case import DeviceTarget
from lenet.commands.verify import verify
from lenet.machine.card import MachineCard
from lenet.store.run import Store


class TestSeveralMachines:
    """A run over two nodes, the second of which has a card of its own."""

    @pytest.fixture
    def spread(self, spread_run, tmp_path):
        return shutil.copytree(spread_run, tmp_path / "copy")

    @pytest.fixture
    def card(self, spread):
        (path,) = spread.glob("machine-*.json")
        return path

    @pytest.fixture
    def there(self, spread, card):
        """The records of the second machine, with the line that names it."""
        machine = card.stem.removeprefix("machine-")
        records = {f"records/{path.name}": path.read_text() for path in sorted((spread / "records").iterdir())}
        return {
            name: next(n for n, line in enumerate(text.splitlines(), 1) if line.startswith(' "machine_id"'))
            for name, text in records.items()
            if f'"machine_id": "{machine}"' in text
        }

    def test_it_is_verified(self, spread, card):
        verdict = verify(spread)
        assert [str(violation) for violation in verdict.violations] == []
        assert (verdict.records, card.name in verdict.unread) == (4, False)

    def test_a_machine_without_a_card(self, spread, card, there):
        card.unlink()
        found = verify(spread).violations
        assert there
        assert {(each.place.file, each.place.line) for each in found} == set(there.items())
        assert {each.rule for each in found} == {"machine"}
        assert "no card" in found[0].message

    @pytest.mark.parametrize("field", ["cpu", "usable_cores", "memory_bytes"])
    def test_an_edited_card(self, spread, card, there, field):
        """As in the manifest, what the machine's id is made of: more cores would allow for more speed."""
        edit(card, lambda data: data.update({field: "Faster" if field == "cpu" else data[field] * 4}))
        found = verify(spread).violations
        assert {(each.place.file, each.place.line) for each in found} == {(card.name, 1), *there.items()}
        assert {each.rule for each in found} == {"machine"}

    def test_a_card_with_a_field_that_is_none(self, spread, card):
        edit(card, lambda data: data.update(usable_cores="one"))
        (line,) = [n for n, text in enumerate(card.read_text().splitlines(), 1) if '"usable_cores"' in text]
        first = verify(spread).violations[0]
        assert (first.rule, first.place.file, first.place.line) == ("schema", card.name, line)

    def test_a_renamed_card(self, spread, card):
        other = card.rename(spread / "machine-another.json")
        assert (other.name, 1) in {(each.place.file, each.place.line) for each in verify(spread).violations}

    def test_a_card_that_is_a_link(self, spread, card, tmp_path):
        card.rename(tmp_path / "outside.json")
        card.symlink_to(tmp_path / "outside.json")
        assert refused_by(spread) == {"folder", "machine"}

    def test_more_cores_than_the_second_machine_has(self, spread, card, there):
        made = MachineCard.model_validate_json(card.read_text()).model_copy(update={"usable_cores": 10**6})
        card.unlink()
        (spread / f"machine-{made.id}.json").write_text(made.model_dump_json(indent=1))
        for name in there:
            edit(spread / name, lambda data: data.update(machine_id=made.id))
        no_tables(spread)
        assert refused_by(spread) == {"machine possible"}

    def test_nothing_is_faster_than_the_second_machine_multiplies(self, spread, card, there):
        """It is its card that is asked: the first machine has twice the cores."""
        limit = limits.peak_flops(MachineCard.model_validate_json(card.read_text()), DeviceTarget.CPU)
        case = next(iter(there)).removeprefix("records/").removesuffix(".json")
        seconds = 64 * 4 * limits.training_flops() / (limit * 1.5)
        edit_events(spread, case, lambda event: event["event"] == "steps" and event.update(seconds=seconds))
        derive_again(spread, case)
        no_tables(spread)
        assert "training possible" in refused_by(spread)

    def test_cases_that_overlap_on_one_node(self, spread, there):
        """On two they may: that these do is in test_node."""
        records = [json.loads(path.read_text()) for path in sorted((spread / "records").iterdir())]
        node = json.loads((spread / next(iter(there))).read_text())["node"]
        for path in (spread / "records").iterdir():
            edit(path, lambda data: data.update(node=node))
        no_tables(spread)
        assert len({record["node"] for record in records}) == 2
        assert refused_by(spread) == {"sequence"}
        for path in (spread / "records").iterdir():
            edit(path, lambda data: data.update(node=""))
        assert refused_by(spread) == {"sequence"}

    @pytest.mark.parametrize(("gpus", "world_size", "fits"), [(2, 1, True), (1, 1, False), (4, 2, True), (3, 2, False)])
    def test_a_node_has_as_many_cases_at_once_as_devices(self, spread, gpus, world_size, fits):
        store = Store.open(spread)
        card = store.manifest.machine.model_copy(update={"gpus": ("GPU",) * gpus})
        one, two = (
            case.model_copy(update={"device_target": DeviceTarget.GPU, "world_size": world_size})
            for case in store.manifest.cases[:2]
        )
        path = spread / "records" / f"{store.manifest.cases[0].id}.json"
        record = store.records()[0]
        evidence = [
            Evidence(case, card, record.dataset, record, document(path.read_text()), path.name) for case in (one, two)
        ]
        assert (list(run_rules.sequence(store.manifest, evidence)) == []) is fits
