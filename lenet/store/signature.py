"""The signature of a seal: made and checked by OpenSSH's `ssh-keygen -Y`, with the user's own SSH key."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from lenet.errors import UsageError
from lenet.files.leftovers import TEMPORARY_PREFIX
from lenet.machine.programs import ProgramError, output
from lenet.store.seal import SEAL, SIGNATURE

NAMESPACE = "lenet-bench"
"""What the signature is for: one that was made for a file, a mail or a commit does not count."""

PROGRAM = "ssh-keygen"
KEYS = ("id_ed25519", "id_ed25519_sk", "id_ecdsa", "id_ecdsa_sk", "id_rsa")
"""Names of a user's keys in ~/.ssh, in the order in which they are looked for."""

SIGN_SECONDS = 300.0
"""A person types a passphrase, or touches a security key."""
CHECK_SECONDS = 30.0

_GOOD = re.compile(rf'Good "{NAMESPACE}" signature (?:for .+ )?with (\S+) key (\S+)')


class SignatureError(Exception):
    """A signature is not one of the seal, or by nobody who is allowed; the message says which."""


@dataclass(frozen=True)
class Signer:
    """Who signed a seal."""

    fingerprint: str
    """Of the public key, as `ssh-keygen -l` shows it; empty where that program is missing."""
    key_type: str
    namespace: str = NAMESPACE
    name: str = ""
    """What the file of allowed signers calls the key; empty without such a file."""

    @property
    def text(self) -> str:
        """`anna@example.org, ED25519 key SHA256:..., namespace lenet-bench`."""
        if not self.fingerprint:
            return f"a key that only {PROGRAM} can name: install OpenSSH"
        named = f"{self.name}, " if self.name else ""
        return f"{named}{self.key_type} key {self.fingerprint}, namespace {self.namespace}"


def default_key() -> Path:
    """The user's first SSH key.

    Raises:
        UsageError: there is none in ~/.ssh.
    """
    folder = Path("~/.ssh").expanduser()
    for name in KEYS:
        if (folder / name).is_file():
            return folder / name
    raise UsageError(f"{folder} has no SSH key: name one with --key, or make one with `ssh-keygen -t ed25519`")


def sign(seal: str, key: Path) -> str:
    """The signature of a seal's text with a private key, or with the public key of one that the SSH agent holds.

    `ssh-keygen` asks on the terminal for the passphrase of the key.

    Raises:
        UsageError: the key cannot be read or used, or there is no `ssh-keygen`.
    """
    with _files(seal) as folder:
        words = ("-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(folder / SEAL))
        try:
            output(PROGRAM, *words, seconds=SIGN_SECONDS, asks=True)
        except ProgramError as error:
            raise UsageError(f"{key} does not sign the run: {error}") from error
        return (folder / SIGNATURE).read_text(encoding="ascii")


def signer_of(seal: str | None, signature: str | None, allowed: Path | None = None) -> Signer | None:
    """Who signed the text of a seal, None if it is not signed; with a file of allowed signers also the key's name.

    Raises:
        SignatureError: the signature is not of this text, or not by an allowed signer.
    """
    if signature is None:
        if allowed is None:
            return None
        raise SignatureError("is missing: the run is not signed")
    if seal is None:
        raise SignatureError(f"is of a {SEAL} that is missing")
    if allowed is None and shutil.which(PROGRAM) is None:
        return Signer(fingerprint="", key_type="")
    with _files(seal, signature) as folder:

        def ask(action: str, *words: str) -> str:
            given = ("-s", str(folder / SIGNATURE), *words)
            return output(PROGRAM, "-Y", action, *given, seconds=CHECK_SECONDS, source=folder / SEAL)

        try:
            found = _GOOD.match(ask("check-novalidate", "-n", NAMESPACE))
        except ProgramError as error:
            raise SignatureError(f"is no signature of {SEAL}: {error}") from error
        if found is None:
            raise SignatureError(f"is no signature of {SEAL} that {PROGRAM} describes as expected")
        signer = Signer(fingerprint=found[2], key_type=found[1])
        if allowed is None:
            return signer
        try:
            name = ask("find-principals", "-f", str(allowed)).partition("\n")[0]
            ask("verify", "-n", NAMESPACE, "-f", str(allowed), "-I", name)
        except ProgramError as error:
            raise SignatureError(f"is by {signer.text}, whom {allowed} does not allow ({error})") from error
        return Signer(signer.fingerprint, signer.key_type, name=name)


@contextmanager
def _files(seal: str, signature: str | None = None) -> Iterator[Path]:
    """A folder with these texts as files, as the program takes them: those of a run may change meanwhile."""
    with TemporaryDirectory(prefix=TEMPORARY_PREFIX) as name:
        folder = Path(name)
        (folder / SEAL).write_bytes(seal.encode())
        if signature is not None:
            (folder / SIGNATURE).write_bytes(signature.encode())
        yield folder
