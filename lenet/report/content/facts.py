"""The context of a report's figures, as names and values, and each machine's; the same in every form."""

from __future__ import annotations

from lenet.machine.card import MachineCard
from lenet.report.content.gather import Report
from lenet.report.table.words import few


def facts(report: Report) -> list[tuple[str, str]]:
    """Data, versions, samples and days."""
    rows = report.rows
    data = dict.fromkeys(f"{row.dataset} (sha256 {(row.dataset_sha256 or 'unknown')[:12]})" for row in rows)
    versions = dict.fromkeys(f"{row.framework} {row.framework_version}" for row in rows if row.framework_version)
    windows = sorted({row.windows for row in rows if row.windows})
    days = sorted(entry.record.started_at.date().isoformat() for entry in report.entries)
    samples = f"{windows[0]:,} to {windows[-1]:,}" if len(windows) > 1 else f"{windows[0]:,}" if windows else "none"
    return [
        ("Records", f"{len(rows):,}, {sum(row.sound for row in rows):,} ok"),
        ("Data", few(list(data))),
        ("Framework", few(list(versions)) or "none ran"),
        ("Steady windows a record", samples),
        ("Measured", days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"),
    ]


def notes(report: Report) -> list[str]:
    """What to know before quoting a figure, one sentence each."""
    found = list(report.notes)
    other = sorted({row.dataset for row in report.rows if row.dataset != "mnist"})
    if other:
        found.append(f"NOT MNIST: {few(other)}. Accuracies do not compare with those published for MNIST.")
    return found


def machine_facts(card: MachineCard) -> list[tuple[str, str]]:
    """What a reader needs to know of a machine, as names and values; without what is unknown."""
    cores = f"{card.usable_cores} usable of {card.logical_cores} logical"
    if card.physical_cores:
        cores += f", {card.physical_cores} physical"
    limits = [f"{card.cpu_limit:g} cores"] if card.cpu_limit else []
    limits += [_size(card.memory_limit_bytes)] if card.memory_limit_bytes else []
    caches = [f"L{level} {_size(size)}" for level, size in ((2, card.l2_cache_bytes), (3, card.l3_cache_bytes)) if size]
    frequency = f"{card.frequency_mhz:,.0f} MHz" if card.frequency_mhz else ""
    found = [
        ("Processor", f"{card.cpu} ({card.architecture})"),
        ("Cores", cores),
        ("Instruction sets", ", ".join(card.instruction_sets)),
        ("Caches", ", ".join(caches)),
        ("Frequency", ", ".join(filter(None, [frequency, f"governor {card.governor}" if card.governor else ""]))),
        ("Memory", _size(card.memory_bytes)),
        ("Container’s limits", ", ".join(limits)),
        ("GPU", "; ".join(card.gpus)),
        ("NPU", "; ".join(card.npus)),
        ("System", f"{card.system}{', virtual' if card.virtual else ''}"),
        ("Python", card.python),
        ("Packages", ", ".join(f"{name} {version}" for name, version in card.packages.items())),
        ("Environment", ", ".join(f"{name}={value}" for name, value in card.environment.items())),
        ("Load before", f"{card.load_average:.2f}" if card.load_average is not None else ""),
        ("Commit", f"{card.git_commit[:12]}{' with changes' if card.git_dirty else ''}" if card.git_commit else ""),
    ]
    return [(name, value) for name, value in found if value]


def _size(size: int) -> str:
    """Bytes in binary units.

    >>> _size(2**30 * 24), _size(512 * 1024)
    ('24 GiB', '512 KiB')
    """
    for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 1 << power:
            return f"{size / (1 << power):.3g} {unit}"
    return f"{size} B"
