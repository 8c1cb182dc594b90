"""Parse oneDNN's verbose log: which implementation of which primitive ran, on what shapes, for how long.

The lines of executed primitives are read, as oneDNN 2.x and 3.x write them (oneDNN developer guide, "Verbose Mode"):

    onednn_verbose,v1,primitive,exec,cpu,convolution,x64:gemm:jit,forward_training,MEMORY,ATTR,AUX,mb32_ic1oc6_…,0.41
    dnnl_verbose,exec,cpu,convolution,gemm:jit,forward_training,MEMORY,ATTR,AUX,mb32_ic1oc6_…,0.41

The last field is the time in milliseconds. Other lines and damaged ones are skipped.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from lenet.store.events import STEPS_BEGIN, STEPS_END

_CONVOLUTION = re.compile(
    r"mb(?P<mb>\d{1,9})_(?:g(?P<g>\d{1,9}))?ic(?P<ic>\d{1,9})oc(?P<oc>\d{1,9})"
    r"_ih\d+oh(?P<oh>\d{1,9})kh(?P<kh>\d{1,9}).*?_iw\d+ow(?P<ow>\d{1,9})kw(?P<kw>\d{1,9})"
)
_MATMUL = re.compile(r"^(?P<m>\d{1,9})x(?P<k>\d{1,9}):(?P<k2>\d{1,9})x(?P<n>\d{1,9})(?::[\dx]+)?$")
_INNER = re.compile(r"mb(?P<mb>\d{1,9})ic(?P<ic>\d{1,9})(?:ih(?P<ih>\d{1,9})iw(?P<iw>\d{1,9}))?oc(?P<oc>\d{1,9})")


@dataclass(frozen=True)
class Execution:
    """One execution of a primitive."""

    operator: str
    """`convolution`, `matmul`, `pooling`, …"""
    direction: str
    """`forward_training`, `backward_data`, `backward_weights`, …; `undef` for a primitive without one."""
    implementation: str
    problem: str
    """The shapes, in oneDNN's notation."""
    milliseconds: float

    @property
    def is_reference(self) -> bool:
        """Whether it is oneDNN's reference implementation, which is not optimised."""
        return re.search(r"(^|[:+])ref(:|\+|$)", self.implementation) is not None

    @property
    def flops(self) -> int | None:
        """Multiplications and additions of this execution; None if they are not known for the primitive."""
        if self.operator == "convolution" and (found := _CONVOLUTION.search(self.problem)):
            size = {name: int(value) for name, value in found.groupdict(default="1").items()}
            # oneDNN writes ic and oc of all groups together.
            return 2 * math.prod(size[name] for name in ("mb", "ic", "oc", "oh", "ow", "kh", "kw")) // size["g"]
        if self.operator == "matmul" and (found := _MATMUL.match(self.problem)) and found["k"] == found["k2"]:
            return 2 * int(found["m"]) * int(found["k"]) * int(found["n"])
        if self.operator == "inner_product" and (found := _INNER.search(self.problem)):
            return 2 * math.prod(int(value) for value in found.groupdict(default="1").values())
        return None


@dataclass(frozen=True)
class Library:
    """oneDNN, as its log names it."""

    version: str | None = None
    instruction_set: str | None = None
    """In oneDNN's words: `Intel AVX2`, `Intel AVX-512 with …`."""
    threads: int | None = None


@dataclass(frozen=True)
class Log:
    """The content of a verbose log."""

    library: Library
    executions: tuple[Execution, ...]
    """In order; if the log has the marks of instrumented steps, those between them."""


def parse(lines: Iterable[str]) -> Log:
    """Parse a log. No content of a line raises an error."""
    about, executed = _lines(lines)
    version, instruction_set, threads = (
        next((found[1].strip() for line in reversed(about) if (found := re.search(pattern, line))), None)
        for pattern in (r"oneDNN v(\S{1,40})", r",isa:(.{1,200})", r",nthr:(\d{1,6})")
    )
    library = Library(version, instruction_set, int(threads) if threads else None)
    return Log(library, tuple(execution for _, execution in executed))


def distinct(lines: Iterable[str]) -> list[str]:
    """The lines that name the library, and one line of each primitive, shape and implementation, in order.

    If the log has the marks of instrumented steps, the executions are those between them.
    """
    about, executed = _lines(lines)
    found: dict[tuple[str, str, str, str], str] = {}
    for line, each in executed:
        found.setdefault((each.operator, each.direction, each.implementation, each.problem), line)
    return [*dict.fromkeys(about), *found.values()]


def _lines(lines: Iterable[str]) -> tuple[list[str], list[tuple[str, Execution]]]:
    """The lines that name the library, and the executions, those between the marks of instrumented steps if any."""
    about: list[str] = []
    executed: list[tuple[str, Execution]] = []
    inside: bool | None = None
    for line in lines:
        if STEPS_BEGIN in line:
            executed, inside = [], True
        elif STEPS_END in line:
            inside = False
        elif "_verbose," not in line:
            continue
        elif ",info," in line:
            about.append(line)
        elif inside is not False and (execution := _execution(line)) is not None:
            executed.append((line, execution))
    return about, executed


def _execution(line: str) -> Execution | None:
    fields = line.strip().split(",")
    try:
        at = fields.index("exec", 1, 5)
        _, operator, implementation, direction = fields[at + 1 : at + 5]
        problem, time = fields[at + 5 :][-2:]
        milliseconds = float(time)
    except ValueError:
        return None
    if not math.isfinite(milliseconds) or milliseconds < 0 or len(fields) < at + 10:
        return None
    return Execution(operator[:60], direction[:60], implementation[:120], problem[:200], milliseconds)


@dataclass(frozen=True)
class Kernel:
    """All executions of one primitive by one implementation, per step."""

    operator: str
    direction: str
    implementation: str
    calls: float
    milliseconds: float
    gflops: float | None
    """Achieved 10⁹ operations/s; None if the operations are not known."""
    is_reference: bool


def kernels(log: Log, steps: int) -> tuple[Kernel, ...]:
    """The executions by primitive, direction and implementation, longest time first.

    `steps` is the number of training steps that the log covers.
    """
    groups: dict[tuple[str, str, str], list[Execution]] = {}
    for each in log.executions:
        groups.setdefault((each.operator, each.direction, each.implementation), []).append(each)
    found = []
    for names, members in groups.items():
        milliseconds = sum(each.milliseconds for each in members)
        counted = [each.flops for each in members if each.flops is not None]
        known = len(counted) == len(members) and milliseconds > 0
        found.append(
            Kernel(
                *names,
                calls=len(members) / steps,
                milliseconds=milliseconds / steps,
                gflops=sum(counted) / milliseconds / 1e6 if known else None,
                is_reference=members[0].is_reference,
            )
        )
    return tuple(sorted(found, key=lambda each: each.milliseconds, reverse=True))
