"""One file over verified TLS: bounded in time and size, tried again when that helps, resumed where it broke off."""

from __future__ import annotations

import contextlib
import ipaddress
import queue
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError, NewConnectionError, ProtocolError

Progress = Callable[[str, int, "int | None"], None]
"""Told the file's name, the bytes so far and the bytes in all, if known."""

BLOCK_BYTES = 1 << 16
PASSING = frozenset({408, 425, 429})
"""Answers below 500 that ask for another try."""


class MirrorError(Exception):
    """This mirror does not give the file; the message says why, in a few words."""


class TransientError(MirrorError):
    """It may, when asked again."""


@dataclass(frozen=True)
class Transfer:
    """How a file is fetched. Times in seconds, sizes in bytes."""

    connect_seconds: float = 4.0
    """For each address of the host."""
    answer_seconds: float = 6.0
    """From the request to the answer's headers, name resolution included: a machine without network must not wait."""
    read_seconds: float = 20.0
    """The longest silence within a file."""
    total_seconds: float = 900.0
    """For one file with all its tries: a server that drips must end too."""
    tries: int = 4
    backoff_seconds: float = 1.0
    """Pause before the second try, half as long to half as long again; doubled with every further try."""
    max_bytes: int = 64 * 2**20
    redirects: int = 5
    loopback_http: bool = False
    """Whether this machine's own addresses may be asked without TLS."""

    def fetch(self, url: str, part: Path, progress: Progress) -> None:
        """Bring `url` into `part`, going on with what is there. What the bytes are is for the caller to check.

        Raises:
            MirrorError: the server does not give the file; `part` may hold a beginning of it.
            OSError: `part` cannot be written.
        """
        deadline = time.monotonic() + self.total_seconds
        for attempt in range(self.tries):
            try:
                with requests.Session() as session, _in_few_words(self):
                    self._go_on(session, url, part, progress, deadline, first=attempt == 0)
                return
            except TransientError as error:
                # Jitter: many machines that lost one server do not come back at the same moment.
                pause = self.backoff_seconds * 2**attempt * (0.5 + random.random())  # noqa: S311
                if attempt + 1 == self.tries or time.monotonic() + pause > deadline:
                    raise MirrorError(str(error)) from error
                time.sleep(pause)

    def _go_on(
        self, session: requests.Session, url: str, part: Path, progress: Progress, deadline: float, first: bool
    ) -> None:
        have = part.stat().st_size if part.exists() else 0
        with self._open(session, url, have, deadline, first) as answer:
            begin, total = _promise(answer)
            if answer.status_code == 416 or begin not in (0, have):
                part.unlink(missing_ok=True)  # not the file that it was, or longer than it: from the start
                raise TransientError("it could not resume")
            have = begin  # 0 where the server does not resume: what is there is then written over
            if total is not None and total > self.max_bytes:
                raise MirrorError(f"it promises more than {self.max_bytes} bytes")
            with part.open("ab" if have else "wb") as file:
                while block := _some(answer):
                    have += len(block)
                    if have > self.max_bytes:
                        raise MirrorError(f"it sends more than {self.max_bytes} bytes")
                    file.write(block)
                    progress(Path(urlsplit(url).path).name, have, total)
                    if time.monotonic() > deadline:
                        raise MirrorError(f"not whole after {self.total_seconds:g} s")
        if total is not None and have < total:
            raise TransientError(f"it broke off at {have} of {total} bytes")
        if total is not None and have > total:
            part.unlink()
            raise TransientError(f"it sent {have} bytes and promised {total}")

    @contextlib.contextmanager
    def _open(
        self, session: requests.Session, url: str, have: int, deadline: float, first: bool
    ) -> Iterator[requests.Response]:
        """The answer to a request for `url` from byte `have`. Redirects are followed by hand: each must be allowed."""
        for _ in range(self.redirects + 1):
            self._allow(url)
            answer = self._ask(session, url, have, deadline, first)
            if not answer.is_redirect:
                break
            answer.close()
            url = _joined(url, answer.headers["Location"])
        else:
            raise MirrorError(f"it redirects more than {self.redirects} times")
        with answer:
            if answer.status_code >= 500 or answer.status_code in PASSING:
                raise TransientError(f"it answers {answer.status_code}")
            if answer.status_code not in (200, 206, 416):
                raise MirrorError(f"it answers {answer.status_code}")
            yield answer

    def _ask(self, session: requests.Session, url: str, have: int, deadline: float, first: bool) -> requests.Response:
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
        box: queue.Queue[requests.Response | Exception] = queue.Queue()
        given_up = threading.Event()

        def ask() -> None:
            try:
                answer = session.get(
                    url,
                    headers=headers,
                    stream=True,
                    allow_redirects=False,
                    timeout=(self.connect_seconds, self.read_seconds),
                )
            except Exception as error:
                box.put(error)
                return
            box.put(answer)
            if given_up.is_set():
                answer.close()

        # In a thread, because no timeout of the library bounds name resolution, a host's addresses one after the
        # other, or headers that drip.
        threading.Thread(target=ask, daemon=True).start()
        patience = min(self.answer_seconds, deadline - time.monotonic())
        try:
            outcome = box.get(timeout=max(0.0, patience))
        except queue.Empty:
            given_up.set()
            with contextlib.suppress(queue.Empty):
                if isinstance(late := box.get_nowait(), requests.Response):
                    late.close()
            # Only a server that has been heard is asked again.
            raise (MirrorError if first else TransientError)(f"no answer within {patience:.3g} s") from None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _allow(self, url: str) -> None:
        parts = urlsplit(url)
        allowed = parts.scheme == "https" or (
            parts.scheme == "http" and self.loopback_http and _is_loopback(parts.hostname or "")
        )
        if not allowed:
            raise MirrorError(f"it leads to {parts.scheme}://{parts.hostname}, and only https is followed")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _joined(url: str, location: str) -> str:
    try:
        joined = urljoin(url, location)
        urlsplit(joined)
    except ValueError as error:
        raise MirrorError("it redirects to something that is no address") from error
    return joined


def _promise(answer: requests.Response) -> tuple[int, int | None]:
    """The first byte that comes, and the bytes of the whole file if the answer says."""
    if answer.status_code == 206:
        found = re.fullmatch(
            r"bytes ([0-9]{1,15})-[0-9]{1,15}/([0-9]{1,15}|\*)", answer.headers.get("Content-Range", "")
        )
        if found is None:
            return -1, None
        return int(found[1]), None if found[2] == "*" else int(found[2])
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if re.fullmatch(r"[0-9]{1,15}", length) else None


def _some(answer: requests.Response) -> bytes:
    """What has come, as it was sent; empty at the end."""
    raw: Any = answer.raw
    try:
        # `read` waits for a full block, during which the clock is not looked at; urllib3 1 has nothing else.
        some: bytes = (
            raw.read1(BLOCK_BYTES, decode_content=False)
            if hasattr(raw, "read1")
            else raw.read(512, decode_content=False)
        )
    except ProtocolError:
        if answer.headers.get("Content-Length") is None:
            raise
        return b""  # it broke off: the caller counts, and says so with both numbers
    return some


@contextlib.contextmanager
def _in_few_words(times: Transfer) -> Iterator[None]:
    """The libraries' errors as this module's."""
    try:
        yield
    except requests.exceptions.SSLError as error:
        unverified = "CERTIFICATE_VERIFY_FAILED" in str(error)
        raise MirrorError("its certificate cannot be verified" if unverified else "TLS fails") from error
    except requests.exceptions.ProxyError as error:
        raise MirrorError("the proxy does not connect") from error
    except requests.exceptions.ConnectTimeout as error:
        raise MirrorError(f"no connection within {times.connect_seconds:g} s") from error
    except requests.exceptions.ReadTimeout as error:
        raise TransientError(f"silent for {times.read_seconds:g} s") from error
    except requests.exceptions.ConnectionError as error:
        reason = getattr(error.args[0], "reason", None) if error.args else None
        if isinstance(reason, NewConnectionError):
            # Refused or unresolvable: asking again is of no use.
            raise MirrorError("no connection") from error
        raise TransientError("the connection was lost") from error
    except (requests.exceptions.RequestException, HTTPError) as error:
        raise TransientError("the transfer broke off") from error
