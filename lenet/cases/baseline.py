"""The selector of `--baseline`: which of several cases, or rows of a table, is the baseline of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from lenet.cases.axes import BY_NAME, IDENTIFYING, axis
from lenet.errors import UsageError

Item = TypeVar("Item")

DEFAULT = "mode=pynative"
USUAL = (DEFAULT, "profile=default", "pipeline=tutorial", "device=CPU")
"""What is the baseline where none is given: the first with which something is compared."""


class Held(NamedTuple):
    """What an item holds in one field."""

    plain: Any
    """The plain form of the value."""
    identity: str
    """Items share it if and only if they mean the same."""


def parse(selector: str) -> dict[str, str]:
    """`mode=graph,batch_size=32` as a mapping from fields: axes, or `run`.

    Raises:
        UsageError: not of that form, or an unknown field.
    """
    known = {name: axis.name for name, axis in BY_NAME.items() if axis in IDENTIFYING} | {"run": "run"}
    wanted = {}
    for part in selector.split(","):
        name, separator, value = part.partition("=")
        if not separator or name.strip() not in known:
            fields = ", ".join(dict.fromkeys(known.values()))
            raise UsageError(f"--baseline {selector!r}: write FIELD=VALUE,… with fields of {fields}")
        wanted[known[name.strip()]] = value.strip()
    return wanted


def held_text(name: str, plain: Any) -> str:
    """The plain form of a field as a selector names it."""
    return str(plain) if name == "run" else axis(name).as_text(plain)


def baselines(
    items: Sequence[Item], wanted: Mapping[str, str], held: Callable[[Item], Mapping[str, Held]]
) -> list[Item | None]:
    """For each item the one that has the wanted values and agrees in all other fields; None if there is none.

    A release is one of its framework: where the selector has a framework, the baseline is the only release of that, or
    the same one.

    Args:
        items: cases or rows, each once.
        wanted: of `parse`.
        held: the fields of an item, the same for all; those of `wanted` are among them.
    """
    apart = {*wanted, *(["framework_version"] if "framework" in wanted else [])}
    fields = [held(item) for item in items]
    keys = [tuple(each.identity for name, each in of_item.items() if name not in apart) for of_item in fields]
    releases = [of_item["framework_version"].identity for of_item in fields]
    found: dict[tuple[str, ...], list[tuple[str, Item]]] = {}
    for item, of_item, key, release in zip(items, fields, keys, releases, strict=True):
        if all(_is_named(name, text, of_item[name]) for name, text in wanted.items()):
            found.setdefault(key, []).append((release, item))
    return [_of_release(release, found.get(key, [])) for key, release in zip(keys, releases, strict=True)]


def usual(items: Sequence[Item], held: Callable[[Item], Mapping[str, Held]]) -> str:
    """The first of `USUAL` with which an item is compared; the first of all if none is.

    A value is named as the items name it: `mode=pynative` is PyTorch's `eager` too. The arguments are those of
    `baselines`.
    """
    named = []
    for selector in USUAL:
        wanted = parse(selector)
        bases = baselines(items, wanted, held)
        (name,) = wanted
        words = {held_text(name, held(base)[name].plain) for base in bases if base is not None}
        named.append(f"{selector.partition('=')[0]}={words.pop()}" if len(words) == 1 else selector)
        if any(base is not None and base is not item for item, base in zip(items, bases, strict=True)):
            return named[-1]
    return named[0]


def _of_release(release: str, found: Sequence[tuple[str, Item]]) -> Item | None:
    """The one of the release, or the only one."""
    same = [item for its_release, item in found if its_release == release]
    return same[0] if same else found[0][1] if len(found) == 1 else None


def _is_named(name: str, text: str, value: Held) -> bool:
    return value.plain == text if name == "run" else axis(name).is_named(text, value.plain, value.identity)
