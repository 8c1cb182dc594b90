"""How a report handles many records: synthetic runs, and the cost of their report.

    python bench/many_records.py [--runs 1000] [--records 10] [--keep FOLDER]

Runs are made with drawn figures (they measure nothing), on several machines, devices and versions. Printed: how long
gathering and writing take, the page's weight, and, where Chromium and Playwright are here, how long the page takes
from opening until its first figures stand and until everything is drawn.
"""

from __future__ import annotations

import random
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated

import typer

from lenet.cases.case import Case, DeviceTarget, Hyperparameters, Mode, Plan, RuntimeProfile
from lenet.cases.matrix import Matrix
from lenet.machine.card import describe
from lenet.store.record import DatasetCard, Evaluation, Phases, Record, Software, Status, Window, summarise
from lenet.store.run import Store

BEGAN = datetime(2026, 1, 1, tzinfo=timezone.utc)
PROFILES = (RuntimeProfile(), RuntimeProfile.parse("onednn_isa=AVX2+launch_blocking"))
SPEEDS = {Mode.PYNATIVE: 0.4, Mode.GRAPH: 1.0, Mode.JIT: 0.7}
CHROMIUM = Path("/usr/bin/chromium")
VERSIONS = ("2.7.0", "2.8.0", "2.9.0", "2.10.0")
CARD = DatasetCard(name="mnist", sha256="ab" * 32, training_images=60_000, test_images=10_000)


def made(case: Case, machine: str, version: str, pace: float, draw: random.Random, number: int) -> Record:
    """A record with figures around `pace`; one in fifty failed."""
    started = BEGAN + timedelta(minutes=number)
    common = {
        "case_id": case.id, "case": case, "machine_id": machine, "dataset": CARD,
        "started_at": started, "finished_at": started + timedelta(seconds=16),
        "software": Software(framework_version=version, python_version="3.11.7", numpy_version="1.26.4"),
    }  # fmt: skip
    if draw.random() < 0.02:
        return Record(**common, status=Status.CRASHED, reason="the worker ended with SIGSEGV")
    speed = pace * SPEEDS[case.mode] * case.hyperparameters.batch_size**0.3
    epochs = case.plan.epochs or 0
    windows = tuple(
        Window(
            epoch=1, first_step=60 + 20 * i, steps=20, images=640, seconds=640 / draw.gauss(speed, speed / 30),
            warmup=False,
        )
        for i in range(10)
    )  # fmt: skip
    resident = (Window(epoch=1, first_step=0, steps=20, images=640, seconds=640 / (1.2 * speed), warmup=False),)
    evaluations = tuple(
        Evaluation(
            epoch=epoch, steps=1875 * epoch, training_seconds=epoch * 60_000 / speed, seconds=1, images=10_000,
            correct=round(9900 - 300 / epoch + draw.gauss(0, 10)), distinct_answers=10, training_loss=0.3 / epoch,
        )
        for epoch in range(1, epochs + 1)
    )  # fmt: skip
    phases = Phases(
        import_and_setup_seconds=3, compile_and_first_step_seconds=1, training_seconds=10, evaluation_seconds=1,
        resident_seconds=1, other_seconds=0.1, wall_seconds=16.1,
    )  # fmt: skip
    summary = summarise(phases, windows, resident, evaluations, 0.02, 2**29)
    return Record(
        **common, status=Status.OK, phases=phases, windows=windows, resident_windows=resident, evaluations=evaluations,
        summary=summary,
    )  # fmt: skip


def make_runs(folder: Path, runs: int, records: int) -> None:
    """Write `runs` runs of `records` records below the folder."""
    draw = random.Random(1)  # noqa: S311 - figures to look at
    here = describe()
    machines = [
        here.model_copy(update={"cpu": f"Example {name}", "usable_cores": 2 * n}) for n, name in enumerate("ABCDEF", 1)
    ]
    for index in range(runs):
        machine = machines[index % len(machines)]
        version = VERSIONS[index // len(machines) % len(VERSIONS)]
        device = tuple(DeviceTarget)[index % 3]
        axes = [(m, b, p) for b in (32, 64, 128, 256) for p in PROFILES for m in SPEEDS]
        cases = [
            Case(
                device_target=device, mode=mode, profile=profile, dataset="mnist", repetition=number // len(axes),
                hyperparameters=Hyperparameters(batch_size=batch_size, seed=1 + index),
                plan=Plan(epochs=10 if index % 10 == 0 else None),
            )
            for number in range(records)
            for mode, batch_size, profile in [axes[(number + index) % len(axes)]]
        ]  # fmt: skip
        home = folder / machine.id / f"run-{index:05}"
        store = Store.create(home, Matrix(name="made"), cases, {"mnist": CARD}, machine)
        pace = 1000.0 * (1 + index % 3) * (1 + VERSIONS.index(version) / 10)
        for number, case in enumerate(cases):
            store.write_record(made(case, machine.id, version, pace, draw, index * records + number))


def opened(page: Path) -> tuple[float, float]:
    """Seconds from opening the page in Chromium until the table stands, and until every chart is drawn.

    Raises:
        FileNotFoundError: Chromium is not here.
        ImportError: Playwright is not here.
    """
    from playwright.sync_api import sync_playwright

    if not CHROMIUM.exists():
        raise FileNotFoundError(CHROMIUM)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page()
        began = time.perf_counter()
        tab.goto(page.as_uri(), wait_until="commit")
        tab.wait_for_selector("#table tbody tr")
        table = time.perf_counter() - began
        tab.wait_for_selector("body[data-ready]", timeout=120_000)
        whole = time.perf_counter() - began
        browser.close()
    return table, whole


def main(
    runs: Annotated[int, typer.Option(min=1)] = 1000,
    records: Annotated[int, typer.Option(min=1)] = 10,
    keep: Annotated[Path | None, typer.Option(help="Make the runs there and leave them.")] = None,
) -> None:
    """Make the runs and measure their report."""
    from lenet.report.content.gather import gather
    from lenet.report.document.html import page
    from lenet.report.document.markdown import document

    with tempfile.TemporaryDirectory() as name:
        folder = keep or Path(name)
        if not (folder / "page.html").exists():
            make_runs(folder, runs, records)
        began = time.perf_counter()
        report = gather([folder])
        words = f"{len(report.entries):,} records of {len(report.runs):,} runs"
        print(f"{words} gathered in {time.perf_counter() - began:.1f} s")
        began = time.perf_counter()
        (folder / "page.html").write_text(page(report), encoding="utf-8")
        size = (folder / "page.html").stat().st_size
        print(f"page written in {time.perf_counter() - began:.1f} s, {size / 1e6:.1f} MB")
        began = time.perf_counter()
        document(report, None, "pictures")
        print(f"Markdown and pictures made in {time.perf_counter() - began:.1f} s")
        try:
            table, whole = opened(folder / "page.html")
        except (ImportError, FileNotFoundError) as missing:
            what = "Playwright" if isinstance(missing, ImportError) else str(CHROMIUM)
            print(f"not opened: {what} is not here (pip install playwright; apt-get install chromium)")
            return
        print(f"opened: the table stands after {table:.2f} s, every chart after {whole:.2f} s")


if __name__ == "__main__":
    typer.run(main)
