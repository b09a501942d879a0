"""Whether a model folder is what the holder of a key has signed: asked before any code of the folder runs.

`usecase registry sign` signs the line that `sha256sum manifest.json` prints, too (ECDSA on P-256 with SHA-256). The
manifest lists the checksum of each file; the archive itself never reaches a container of SageMaker.
"""

import base64
from pathlib import Path

from usecase.mlops.errors import UserError
from usecase.mlops.files import file_sha256
from usecase.mlops.serving.manifest import FILE_NAME, check_manifest

KEY_VARIABLE, SIGNATURE_VARIABLE = "MODEL_PUBLIC_KEY", "MODEL_SIGNATURE"  # of the container
PEM = "-----BEGIN"


def statement(manifest_sha256: str) -> bytes:
    """What is signed of a manifest."""
    return f"{manifest_sha256}  {FILE_NAME}\n".encode()


def check_signature(folder: Path, public_key: str, signature: str) -> None:
    """Compare the folder with its manifest, and that with the signature (base64). `public_key`: PEM, or a file of it.

    Raises UserError.
    """
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError:
        raise UserError(f"{KEY_VARIABLE} needs cryptography, which this image does not have: build it whole") from None
    if not signature:
        raise UserError(f"{SIGNATURE_VARIABLE} is blank, and {KEY_VARIABLE} asks for a signature of {folder}")
    try:
        key = load_pem_public_key(public_key.encode() if PEM in public_key else Path(public_key).read_bytes())
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise ValueError("it is of another kind")
    except (OSError, ValueError) as error:
        raise UserError(f"{KEY_VARIABLE}: is no public key of the curve P-256 in PEM ({error})") from None
    manifest = folder / FILE_NAME
    if not manifest.is_file():
        raise UserError(f"{manifest}: no such file: a model without it cannot be compared with a signature")
    try:
        key.verify(base64.b64decode(signature, validate=True), statement(file_sha256(manifest)), ec.ECDSA(SHA256()))
    except (InvalidSignature, ValueError):
        raise UserError(f"{manifest}: is not what {SIGNATURE_VARIABLE} and {KEY_VARIABLE} confirm") from None
    check_manifest(folder, nothing_else=True)
