"""Download a file over HTTPS: verified certificates, redirects to HTTPS only, limits on time and size, retries."""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lenet.errors import reason

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
    answer_seconds: float = 10.0
    """From the request to the headers of the response, with name resolution, redirects and the retries between."""
    read_seconds: float = 10.0
    """Longest silence of the server."""
    total_seconds: float = 600.0
    """For one file with all its retries: a server that sends a byte now and then must not block forever."""
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
        from urllib3.exceptions import HTTPError

        deadline = time.monotonic() + self.total_seconds
        with self._session() as session:
            for last in (*[False] * self.retries, True):
                try:
                    return self._attempt(session, url, max_bytes, progress, deadline)
                except (OSError, HTTPError, ValueError) as error:  # ValueError: an invalid redirect
                    raise DownloadError(self._reason(error)) from error
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
        # requests reads the body of a redirect to its end, however large, unless it is closed.
        session.hooks["response"].append(lambda response, **_: response.close() if response.is_redirect else None)
        session.headers["Accept-Encoding"] = "identity"
        retry = Retry(
            total=self.retries,
            connect=0,
            redirect=False,
            raise_on_status=False,
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
        with self._respond(session, url) as response:
            response.raise_for_status()
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdecimal() else None
            if total is not None and total > max_bytes:
                raise DownloadError(f"it promises more than {max_bytes} bytes")
            data = bytearray()
            for block in _blocks(response):
                data += block
                if len(data) > max_bytes:
                    raise DownloadError(f"it sends more than {max_bytes} bytes")
                if time.monotonic() > deadline:
                    raise DownloadError(f"it is incomplete after {self.total_seconds:g} s")
                if progress is not None:
                    progress(len(data), total)
        if total is not None and len(data) < total:
            raise BrokenOffError(f"it broke off at {len(data)} of {total} bytes")
        return bytes(data)

    def _respond(self, session: requests.Session, url: str) -> requests.Response:
        """The response, its body unread. In a thread, as no timeout of the libraries covers name resolution, nor all
        addresses of a host together.
        """
        future: concurrent.futures.Future[requests.Response] = concurrent.futures.Future()

        def request() -> None:
            try:
                future.set_result(session.get(url, stream=True, timeout=(self.connect_seconds, self.read_seconds)))
            except Exception as error:
                future.set_exception(error)

        threading.Thread(target=request, daemon=True).start()
        try:
            return future.result(self.answer_seconds)
        except concurrent.futures.TimeoutError:
            future.add_done_callback(lambda late: None if late.exception() else late.result().close())
            raise DownloadError(f"no answer within {self.answer_seconds:g} s") from None

    def _reason(self, error: Exception) -> str:
        """Why a request failed, without the nested causes of the libraries' own messages."""
        from requests import exceptions
        from urllib3.exceptions import NewConnectionError, ReadTimeoutError

        if isinstance(error, OSError) and not isinstance(error, exceptions.RequestException):
            return reason(error)  # a file of certificates that is not there
        causes = [error, *(getattr(argument, "reason", argument) for argument in error.args)]
        if isinstance(error, exceptions.HTTPError) and error.response is not None:
            return f"it answers {error.response.status_code}"
        if isinstance(error, exceptions.SSLError):
            unverified = "CERTIFICATE_VERIFY_FAILED" in str(error)
            return "its certificate cannot be verified" if unverified else "the TLS connection fails"
        if isinstance(error, exceptions.InvalidSchema) and "SOCKS" in str(error):
            return "a SOCKS proxy needs the package pysocks: install it"
        reasons = (
            (NewConnectionError, "no connection"),
            (ReadTimeoutError, f"silent for {self.read_seconds:g} s"),
            (exceptions.InvalidSchema, "its address has no TLS, and only https is followed"),
            (exceptions.TooManyRedirects, f"it redirects more than {self.redirects} times"),
            (exceptions.ProxyError, "the proxy does not connect"),
            (exceptions.ConnectTimeout, f"no connection within {self.connect_seconds:g} s"),
            (exceptions.ConnectionError, "the connection was lost"),
        )
        found = (text for kind, text in reasons if any(isinstance(cause, kind) for cause in causes))
        return next(found, "its address or answer is not valid")


def _blocks(response: requests.Response) -> Iterator[bytes]:
    """The body in blocks, each as soon as it arrives: `iter_content` waits for full blocks."""
    from urllib3.exceptions import ProtocolError

    raw: Any = response.raw
    try:
        while block := raw.read1(BLOCK_BYTES, decode_content=False):
            yield block
    except ProtocolError as error:
        if response.headers.get("Content-Length") is None:
            raise BrokenOffError("it broke off") from error
