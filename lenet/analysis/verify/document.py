"""A stranger's JSON, with the line of every value: no repeated key, no number that is none, limited nesting."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn

MAX_DEPTH = 32
"""Levels of nesting; a record has seven."""

Path = tuple[str | int, ...]

TOKEN = re.compile(r'[{}\[\],]|"(?:[^"\\]|\\.)*"(\s*:)?|[^\s{}\[\],:"]+')


@dataclass(frozen=True)
class Document:
    """A JSON text's value and the line that each part of it begins on."""

    value: Any
    lines: dict[Path, int]

    def line(self, *path: str | int) -> int:
        """The line of `path`, or of the nearest thing around it that is there."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]


def load(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: not JSON, a key twice in an object, a number that is none, or nested too deeply.
    """
    try:
        value = json.loads(text, object_pairs_hook=_single, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if _depth(text) > MAX_DEPTH:
        raise ValueError("nested too deeply")
    return value


def document(text: str) -> Document:
    """The same, with lines.

    Raises:
        ValueError: as `load`.
    """
    return Document(load(text), _lines(text))


def _single(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for index, (key, _) in enumerate(pairs) if key in dict(pairs[:index]))
        raise ValueError(f"{twice[:60]!r} occurs twice")
    return found


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON number")


def _depth(text: str) -> int:
    deepest = depth = 0
    for token in TOKEN.finditer(text):
        depth += (token[0] in "{[") - (token[0] in "}]")
        deepest = max(deepest, depth)
    return deepest


def _lines(text: str) -> dict[Path, int]:
    """The path and line of every value in a text that `load` accepts."""
    lines: dict[Path, int] = {}
    path: list[str | int] = []
    """Of the next value; its last part is the key or index in the innermost object or list."""
    line, counted = 1, 0
    for token in TOKEN.finditer(text):
        line += text.count("\n", counted, token.start())
        counted = token.start()
        mark = token[0]
        if mark in ("}", "]"):
            path.pop()
        elif mark == ",":
            if isinstance(path[-1], int):
                path[-1] += 1
        elif token[1] is not None:
            path[-1] = json.loads(mark[: -len(token[1])])
            lines[tuple(path)] = line
        else:
            lines.setdefault(tuple(path), line)
            if mark in ("{", "["):
                path.append("" if mark == "{" else 0)
    return lines


def difference(written: Any, read: Any, path: Path = ()) -> Path | None:
    """Where a text's value is not the value that was read from it, None if it is. What the text omits is a default."""
    if isinstance(written, dict) and isinstance(read, dict):
        for key, value in written.items():
            if key not in read:
                return (*path, key)
            if (found := difference(value, read[key], (*path, key))) is not None:
                return found
        return None
    if isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        pairs = enumerate(zip(written, read, strict=True))
        return next((at for i, (a, b) in pairs if (at := difference(a, b, (*path, i))) is not None), None)
    return None if type(written) is type(read) and written == read else path
