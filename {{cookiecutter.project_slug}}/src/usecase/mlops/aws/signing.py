"""Signatures of versions: who deploys can tell that a model is one that the holder of a key has let through.

ECDSA on the curve P-256 with SHA-256 over the line that `sha256sum model.tar.gz` prints, by a key in KMS, which nobody
can copy, or in a PEM file. The public key is part of the repository, so a check needs neither AWS nor the signer:

    sha256sum model.tar.gz | openssl dgst -sha256 -verify config/signing.pub -signature model.sig

The line of manifest.json in it is signed as well: that is what a container has.
"""

import base64
import hashlib
import posixpath
import re
import tarfile
from pathlib import Path

import boto3
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from usecase.mlops.aws.errors import explained
from usecase.mlops.aws.platform import session
from usecase.mlops.errors import UserError
from usecase.mlops.files import file_sha256
from usecase.mlops.registry import MODEL_DATA, ModelPackage, Registry
from usecase.mlops.serving import manifest as manifest_file
from usecase.mlops.serving import signature as serving
from usecase.mlops.settings import Settings

# A key of CustomerMetadataProperties, which have 256 characters at most; base64 of the DER form has 96.
SIGNATURE, MANIFEST_SIGNATURE = "ModelSignature", "ManifestSignature"
ALGORITHM = "ECDSA_SHA_256"
_KMS_KEY = re.compile(r"arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):\d{12}:(key|alias)/.+")


def sign(registry: Registry, package: ModelPackage, settings: Settings) -> ModelPackage:
    """Sign a version that is what was registered, and keep the signatures with it. Raises UserError."""
    package.verify()
    texts = {SIGNATURE: statement(package.model_data)}
    if manifest := _manifest_sha256(package.model_data):
        texts[MANIFEST_SIGNATURE] = serving.statement(manifest)
    signatures = {name: _signed(text, settings) for name, text in texts.items()}
    for name, signature in signatures.items():
        _confirm(texts[name], signature, settings, f"{settings.signing.key}: made a signature")
    return registry.annotate(package, {name: base64.b64encode(value).decode() for name, value in signatures.items()})


def check(package: ModelPackage, settings: Settings) -> None:
    """Raise UserError unless the public key of the settings confirms the signature of the model as it is stored now."""
    kept = package.metadata.get(SIGNATURE)
    if not kept:
        raise UserError(
            f"version {package.version} is not signed, as signing.enabled of {settings.environment} asks:"
            f" usecase registry sign {package.version} --env {settings.environment}, or sign its source and promote it"
        )
    package.verify()
    whose = f"version {package.version} has a signature"
    _confirm(statement(package.model_data), _decoded(kept, whose), settings, whose)


def check_where_enabled(package: ModelPackage, settings: Settings) -> None:
    """`check`, in an environment that asks for signatures. Raises UserError."""
    if settings.signing.enabled:
        check(package, settings)


def container_environment(package: ModelPackage, settings: Settings) -> dict[str, str]:
    """What a container is told so that it checks the signature itself; {} where it is not to. Raises UserError."""
    if not settings.signing.in_container:
        return {}
    kept = package.metadata.get(MANIFEST_SIGNATURE)
    if not kept:
        raise UserError(
            f"version {package.version} has no signature of its {manifest_file.FILE_NAME}, as signing.in_container of"
            f" {settings.environment} asks: register and sign it with this release of the template"
        )
    _, pem = _public_key_of(settings)
    return {serving.KEY_VARIABLE: pem, serving.SIGNATURE_VARIABLE: kept}


def public_key(settings: Settings) -> str:
    """The public key that belongs to `signing.key`, as PEM. Raises UserError."""
    key = settings.signing.key
    if match := _KMS_KEY.fullmatch(key):
        with explained(key):
            der = _kms(match["region"], settings).get_public_key(KeyId=key)["PublicKey"]
        public = serialization.load_der_public_key(der)
    else:
        public = _private_key(key).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return public.public_bytes(serialization.Encoding.PEM, form).decode()


def statement(model_data: Path) -> bytes:
    """What is signed of a model.tar.gz: the line that `sha256sum model.tar.gz` prints."""
    return f"{file_sha256(model_data)}  {MODEL_DATA}\n".encode()


def _manifest_sha256(model_data: Path) -> str:
    """The checksum of the archive's manifest, which a container can compare; blank where it has none."""
    try:
        with tarfile.open(model_data) as archive:
            for member in archive:
                if posixpath.normpath(member.name) == manifest_file.FILE_NAME and (kept := archive.extractfile(member)):
                    return hashlib.sha256(kept.read()).hexdigest()
    except tarfile.TarError:
        pass
    return ""


def _signed(text: bytes, settings: Settings) -> bytes:
    key = settings.signing.key
    if match := _KMS_KEY.fullmatch(key):
        with explained(key):
            answer = _kms(match["region"], settings).sign(
                KeyId=key, Message=text, MessageType="RAW", SigningAlgorithm=ALGORITHM
            )
        return bytes(answer["Signature"])
    return _private_key(key).sign(text, ec.ECDSA(SHA256()))


def _kms(region: str, settings: Settings) -> "boto3.client":
    """KMS in the key's region, with the credentials of the environment."""
    return session(settings).client("kms", region_name=region)


def _private_key(path: str) -> ec.EllipticCurvePrivateKey:
    if not path:
        raise UserError("signing.key is blank: name the ARN of a KMS key, or a file with a private key, in config/")
    try:
        key = serialization.load_pem_private_key(Path(path).read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path}: is no private key in PEM without a password ({error})") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise UserError(f"{path}: is no key of the curve P-256: openssl ecparam -name prime256v1 -genkey -noout")
    return key


def _decoded(text: str, whose: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise UserError(f"{whose} that is no base64: it cannot be trusted") from None


def _confirm(text: bytes, signature: bytes, settings: Settings, whose: str) -> None:
    key, _ = _public_key_of(settings)
    try:
        key.verify(signature, text, ec.ECDSA(SHA256()))
    except InvalidSignature:
        raise UserError(f"{whose} that {settings.signing.public_key} does not confirm: it cannot be trusted") from None


def _public_key_of(settings: Settings) -> tuple[ec.EllipticCurvePublicKey, str]:
    """The key of signing.public_key, and its PEM."""
    path = settings.signing.public_key
    try:
        pem = Path(path).read_bytes()
        key = serialization.load_pem_public_key(pem)
    except (OSError, ValueError) as error:
        raise UserError(
            f"signing.public_key: {path or 'blank'}: is no public key in PEM ({error}): write it with"
            f" `usecase registry public-key --env {settings.environment}`"
        ) from None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise UserError(f"{path}: is no public key of the curve P-256")
    return key, pem.decode()
