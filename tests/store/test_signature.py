"""Signatures by the real `ssh-keygen`: who signed, for what, and who may."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from lenet.errors import UsageError
from lenet.store.signature import NAMESPACE, SignatureError, default_key, sign, signer_of

SEAL = "0" * 64 + "  manifest.json\n"

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")


def keygen(*words, **options):
    return subprocess.run(["ssh-keygen", *map(str, words)], check=True, capture_output=True, text=True, **options)


def new_key(path, kind="ed25519", passphrase=""):
    keygen("-q", "-t", kind, "-N", passphrase, "-C", "", "-f", path)
    return path


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    return new_key(tmp_path_factory.mktemp("keys") / "id_ed25519")


def allowed(path, name, key, options=""):
    path.write_text(f"{name} {options}{key.with_suffix('.pub').read_text()}")
    return path


def test_it_says_who_signed_and_for_what(key):
    signer = signer_of(SEAL, sign(SEAL, key))
    assert signer.fingerprint == keygen("-l", "-f", key).stdout.split()[1]
    assert (signer.key_type, signer.namespace, signer.name) == ("ED25519", NAMESPACE, "")
    assert signer.fingerprint in signer.text


def test_allowed_signers_name_the_key(key, tmp_path):
    signature = sign(SEAL, key)
    known = allowed(tmp_path / "allowed", "anna@example.org", key, 'namespaces="lenet-bench" ')
    assert signer_of(SEAL, signature, known).name == "anna@example.org"
    assert signer_of(SEAL, signature, known).text.startswith("anna@example.org, ED25519 key SHA256:")
    for other in (
        allowed(tmp_path / "other", "anna@example.org", new_key(tmp_path / "key")),
        allowed(tmp_path / "git", "anna@example.org", key, 'namespaces="git" '),
    ):
        with pytest.raises(SignatureError, match="does not allow"):
            signer_of(SEAL, signature, other)


@pytest.mark.parametrize("change", ["0", "manifest", "\n"])
def test_a_signature_of_another_text_is_refused(key, change):
    with pytest.raises(SignatureError, match="is no signature of"):
        signer_of(SEAL.replace(change, "1", 1), sign(SEAL, key))


def test_a_signature_for_something_else_is_refused(key, tmp_path):
    (tmp_path / "file").write_text(SEAL)
    keygen("-Y", "sign", "-f", key, "-n", "git", tmp_path / "file")
    with pytest.raises(SignatureError, match="namespace"):
        signer_of(SEAL, (tmp_path / "file.sig").read_text())


@pytest.mark.parametrize(
    "text", ["", "x", "\0" * 100, "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"]
)
def test_what_is_no_signature_is_refused(text):
    with pytest.raises(SignatureError, match="is no signature of"):
        signer_of(SEAL, text)


def test_an_unsigned_run_has_no_signer_and_is_not_allowed(tmp_path):
    assert signer_of(SEAL, None) is None
    with pytest.raises(SignatureError, match="is missing"):
        signer_of(None, "a signature without a seal")
    with pytest.raises(SignatureError, match="not signed"):
        signer_of(SEAL, None, tmp_path / "allowed")


def test_without_the_program_a_signed_run_is_readable(key, tmp_path, monkeypatch):
    signature = sign(SEAL, key)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install OpenSSH" in signer_of(SEAL, signature).text
    with pytest.raises(SignatureError, match="not on the PATH"):
        signer_of(SEAL, signature, tmp_path / "allowed")
    with pytest.raises(UsageError, match="not on the PATH"):
        sign(SEAL, key)


def test_a_key_that_cannot_be_used_is_one_sentence(tmp_path):
    (tmp_path / "no-key").write_text("x")
    for path in (tmp_path / "nowhere", tmp_path / "no-key"):
        with pytest.raises(UsageError, match="does not sign the run") as caught:
            sign(SEAL, path)
        assert "\n" not in str(caught.value)


def test_the_usual_key_is_the_first_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UsageError, match="has no SSH key"):
        default_key()
    (tmp_path / ".ssh").mkdir()
    rsa = tmp_path / ".ssh" / "id_rsa"
    rsa.write_text("")
    assert default_key() == rsa
    (tmp_path / ".ssh" / "id_ed25519").write_text("")
    assert default_key() == rsa.with_name("id_ed25519")
