"""What profiles are called where several are shown: by a short name, by their settings, or by what one adds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from lenet.report.table.rows import Row


def called(rows: Iterable[Row]) -> dict[str, str]:
    """The words for each profile of the rows, by its identity.

    One whose settings contain those of another is shown as what it adds to it: `fast + cpu_affinity=1`.
    """
    names = _names(rows)
    shared = Counter(names.values())
    words: dict[str, str] = {}
    for identity in sorted(names, key=lambda each: len(_settings(each))):
        name = names[identity]
        if shared[name] > 1:
            words[identity] = f"{name} ({identity})"
        elif _is_short(name, identity):
            words[identity] = name
        else:
            contained = [other for other in words if _settings(other) < _settings(identity)]
            most = max(contained, key=lambda other: len(_settings(other)), default=identity)
            added = [each for each in identity.split("+") if each not in _settings(most)]
            words[identity] = f"{words[most]} + {' + '.join(added)}" if added else name
    return {identity: words[identity] for identity in names}


def meanings(rows: Iterable[Row], without: Collection[str] = ()) -> list[str]:
    """The settings behind each short name, as captions of a table; none of the names in `without`."""
    return [
        f"Profile {name}: {identity}."
        for identity, name in _names(rows).items()
        if _is_short(name, identity) and name not in without
    ]


def _names(rows: Iterable[Row]) -> dict[str, str]:
    names: dict[str, str] = {}
    for row in rows:
        names.setdefault(row.identities["profile"], row.profile)
    return names


def _settings(identity: str) -> frozenset[str]:
    return frozenset(identity.split("+"))


def _is_short(name: str, identity: str) -> bool:
    """Whether a profile has a name of its own, and not that of its settings."""
    return set(name.split("+")) != set(identity.lower().split("+"))
