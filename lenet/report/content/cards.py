"""A machine's card in words."""

from __future__ import annotations

from lenet.machine.card import MachineCard


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
