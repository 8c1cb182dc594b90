"""Standard output and error, to which printing never fails: a measurement must not end because nobody reads it.

Python writes the last of what is buffered as the interpreter ends, where an error is noise and exit code 120. Here all
is written while the command can still say what failed.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import json
import os
import select
import sys
from collections.abc import Iterator


class Sink(io.RawIOBase):
    """A descriptor; after an error, what is written to it is dropped."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.error: OSError | None = None

    def fileno(self) -> int:
        """The descriptor. It stays open when this object is closed."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: object) -> int:
        """Write some of the bytes; returns how many."""
        block = bytes(data)  # type: ignore[call-overload]
        while self.error is None:
            try:
                return os.write(self._descriptor, block)
            except BlockingIOError:  # another program has set the terminal or pipe not to block
                select.select([], [self._descriptor], [])
            except OSError as error:
                self.error = error
        return len(block)


def escaped(error: UnicodeError) -> tuple[str, int]:
    """Characters that the encoding of a stream does not have, as JSON escapes them: printed JSON stays JSON."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error("lenet-escaped", escaped)


@contextlib.contextmanager
def safe() -> Iterator[Streams]:
    """Standard output and error that never fail and never meet a character that they cannot encode, in the context."""
    for number in range(3):  # closed ones, as after `>&-`: the next file that is opened must not become one of them
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    before = sys.stdout, sys.stderr
    streams = Streams()
    sys.stdout, sys.stderr = (streams.open(each, number) for number, each in enumerate(before, 1))
    try:
        yield streams
    finally:
        with contextlib.suppress(KeyboardInterrupt):
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
        sys.stdout, sys.stderr = before


class Streams:
    """The sinks of the streams."""

    def __init__(self) -> None:
        self._sinks: list[Sink] = []

    def open(self, stream: object, number: int) -> io.TextIOBase:
        """A stream that writes where `stream` does, or to the descriptor `number`; one in memory as it is."""
        text = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        if isinstance(stream, io.TextIOBase):
            try:
                number = stream.fileno()
            except OSError:  # in memory
                return stream
            if isinstance(stream, io.TextIOWrapper):
                text = stream
            with contextlib.suppress(OSError):
                stream.flush()
        sink = Sink(number)
        self._sinks.append(sink)
        buffer, lines = io.BufferedWriter(sink), text.line_buffering or text.write_through
        return io.TextIOWrapper(buffer, encoding=text.encoding, errors="lenet-escaped", line_buffering=lines)

    def drop(self) -> None:
        """Print no more: the user has interrupted a command whose reader may be stuck."""
        for sink in self._sinks[:1]:
            sink.error = sink.error or BrokenPipeError()

    def failure(self) -> OSError | None:
        """Write what is buffered; why standard output could not be written, if not because its reader has ended."""
        sys.stdout.flush()
        sys.stderr.flush()
        error = next((sink.error for sink in self._sinks[:1]), None)
        return None if isinstance(error, BrokenPipeError) else error
