"""Download a file over HTTPS: verified certificates, redirects to HTTPS only, limits on time and size, retries."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import requests

Progress = Callable[[int, "int | None"], None]
"""Called with the bytes received so far and the expected total, None if the server does not announce it."""

BLOCK_BYTES = 1 << 16
RETRIED = (408, 425, 429, 500, 502, 503, 504)
"""Response codes after which a retry can succeed."""


class DownloadError(Exception):
    """The file cannot be downloaded; the message says why in a few words."""


class BrokenOffError(DownloadError):
    """The response ended before the file did."""


@dataclass(frozen=True)
class Client:
    """The limits of a download. Times in seconds."""

    connect_seconds: float = 4.0
    """For each address of the host."""
    read_seconds: float = 10.0
    """Longest silence of the server."""
    total_seconds: float = 600.0
    """For one file with all its retries: a server that sends a byte now and then must not block for ever."""
    retries: int = 2
    """After a response code in `RETRIED` or a lost connection. A host that does not connect is not asked again:
    a machine without a network must not wait."""
    backoff_seconds: float = 0.5
    """Factor of the exponential pause between retries."""
    redirects: int = 5
    prefixes: tuple[str, ...] = ("https://",)
    """Only addresses that begin with one of these are requested, redirects included."""

    def download(self, url: str, max_bytes: int, progress: Progress | None = None) -> bytes:
        """The content of `url`, as the server sends it.

        Raises:
            DownloadError: the server does not send the whole file within the limits, or redirects elsewhere.
        """
        import requests
        from urllib3.exceptions import HTTPError

        deadline = time.monotonic() + self.total_seconds
        with self._session() as session:
            for last in (*[False] * self.retries, True):
                try:
                    return self._attempt(session, url, max_bytes, progress, deadline)
                except (requests.RequestException, HTTPError, ValueError) as error:  # ValueError: an invalid redirect
                    raise DownloadError(_reason(error)) from error
                except BrokenOffError:
                    # urllib3 retries a request, and not a response that breaks off.
                    if last or time.monotonic() > deadline:
                        raise
        raise AssertionError("the last attempt returns or raises")

    def _session(self) -> requests.Session:
        import requests
        from requests.adapters import HTTPAdapter
        from urllib3 import Retry

        session = requests.Session()
        session.adapters.clear()  # without an adapter for plain HTTP a redirect to it is an error
        session.max_redirects = self.redirects
        session.headers["Accept-Encoding"] = "identity"
        retry = Retry(
            total=self.retries,
            connect=0,
            redirect=False,
            status_forcelist=RETRIED,
            backoff_factor=self.backoff_seconds,
            respect_retry_after_header=False,  # a server could ask for hours
        )
        for prefix in self.prefixes:
            session.mount(prefix, HTTPAdapter(max_retries=retry))
        return session

    def _attempt(
        self, session: requests.Session, url: str, max_bytes: int, progress: Progress | None, deadline: float
    ) -> bytes:
        with session.get(url, stream=True, timeout=(self.connect_seconds, self.read_seconds)) as response:
            response.raise_for_status()
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdecimal() else None
            data = bytearray()
            for block in _blocks(response):
                data += block
                if len(data) > max_bytes:
                    raise DownloadError(f"it is larger than {max_bytes >> 20} MiB")
                if time.monotonic() > deadline:
                    raise DownloadError(f"it is incomplete after {self.total_seconds:g} s")
                if progress is not None:
                    progress(len(data), total)
        if total is not None and len(data) < total:
            raise BrokenOffError(f"it breaks off at {len(data)} of {total} bytes")
        return bytes(data)


def _blocks(response: requests.Response) -> Iterator[bytes]:
    """The body in blocks, each as soon as it arrives: `iter_content` waits for full blocks."""
    from urllib3.exceptions import ProtocolError

    raw: Any = response.raw
    read = raw.read1 if hasattr(raw, "read1") else raw.read  # urllib3 1 has no `read1`
    size = BLOCK_BYTES if hasattr(raw, "read1") else 512
    try:
        while block := read(size, decode_content=False):
            yield block
    except ProtocolError as error:
        if response.headers.get("Content-Length") is None:
            raise BrokenOffError("it breaks off") from error


def _reason(error: Exception) -> str:
    """Why a request failed, without the nested causes of the libraries' own messages."""
    from requests import exceptions
    from urllib3.exceptions import NewConnectionError, ReadTimeoutError

    cause = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(error, exceptions.HTTPError) and error.response is not None:
        return f"the server answers {error.response.status_code}"
    if isinstance(error, exceptions.SSLError):
        unverified = "CERTIFICATE_VERIFY_FAILED" in str(error)
        return "its certificate cannot be verified" if unverified else "the TLS connection fails"
    if isinstance(cause, NewConnectionError):
        return "no connection"
    reasons = (
        (exceptions.InvalidSchema, "only https addresses are requested"),
        (exceptions.TooManyRedirects, "too many redirects"),
        (exceptions.RetryError, "the server answers with an error again and again"),
        (exceptions.ProxyError, "the proxy does not connect"),
        (exceptions.ConnectTimeout, "the connection times out"),
        ((exceptions.ReadTimeout, ReadTimeoutError), "the server is silent"),
        (exceptions.ConnectionError, "the connection is lost"),
    )
    return next((text for kind, text in reasons if isinstance(error, kind)), "the address or the answer is not valid")
