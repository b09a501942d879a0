"""A model folder is served only as the holder of the key has signed it, where a key is given."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from usecase.mlops.errors import UserError
from usecase.mlops.files import file_sha256
from usecase.mlops.serving.manifest import FILE_NAME, write_manifest
from usecase.mlops.serving.signature import check_signature, statement

KEY = ec.generate_private_key(ec.SECP256R1())


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def sign(folder: Path) -> str:
    text = statement(file_sha256(folder / FILE_NAME))
    return base64.b64encode(KEY.sign(text, ec.ECDSA(SHA256()))).decode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = tmp_path / "model"
    (model / "code/usecase").mkdir(parents=True)
    (model / "code/usecase/inference.py").write_text("x = 1\n")
    (model / "model.ubj").write_bytes(b"trees")
    write_manifest(model)
    return model


def test_what_was_signed_is_served(tmp_path: Path, folder: Path) -> None:
    check_signature(folder, pem(KEY), sign(folder))
    (tmp_path / "signing.pub").write_text(pem(KEY))
    check_signature(folder, str(tmp_path / "signing.pub"), sign(folder))


def compiled(folder: Path) -> None:
    (folder / "code/__pycache__").mkdir()
    (folder / "code/__pycache__/x.pyc").write_text("")


def another_model(folder: Path) -> None:
    (folder / "model.ubj").write_bytes(b"other")
    write_manifest(folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda folder: (folder / "model.ubj").write_bytes(b"other"), "is not the file that Train wrote"),
        (lambda folder: (folder / "code/usecase/extra.py").write_text(""), r"extra\.py: is not listed in manifest"),
        (compiled, r"x\.pyc: is not listed in manifest"),
        (lambda folder: (folder / FILE_NAME).unlink(), "no such file"),
        (another_model, "is not what MODEL_SIGNATURE and MODEL_PUBLIC_KEY confirm"),
    ],
)
def test_what_changed_since_is_not(folder: Path, change: Callable[[Path], object], says: str) -> None:
    signature = sign(folder)
    change(folder)
    with pytest.raises(UserError, match=says):
        check_signature(folder, pem(KEY), signature)


def test_a_key_and_a_signature_have_to_be_such(folder: Path) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    for key, signature, says in (
        (pem(KEY), "", "MODEL_SIGNATURE is blank"),
        (pem(KEY), "no base64", "is not what MODEL_SIGNATURE"),
        (pem(other), sign(folder), "is not what MODEL_SIGNATURE"),
        (pem(rsa.generate_private_key(65537, 2048)), sign(folder), "is no public key of the curve P-256"),
        ("no/such.pub", sign(folder), "is no public key"),
    ):
        with pytest.raises(UserError, match=says):
            check_signature(folder, key, signature)
