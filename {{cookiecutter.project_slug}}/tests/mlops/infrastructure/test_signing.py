"""Signatures of versions: made by a key in KMS or in a file, and asked for by deployments."""

import base64
import hashlib
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from aws.conftest import REGION
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from usecase.mlops.errors import UserError
from usecase.mlops.serving.manifest import write_manifest
from usecase.mlops.serving.signature import check_signature

from .conftest import Account, FakeTerraform

Usecase = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.usefixtures("repository", "terraform")
MODEL = b"a model"
BUCKET = "churn-dev-artifacts"
CHANGE = {"aws_sagemaker_endpoint": ["update"], "aws_sagemaker_endpoint_configuration": ["create", "delete"]}


@pytest.fixture
def version(account: Account, aws: boto3.Session) -> str:
    """ARN of the one version, approved and not signed."""
    put_model(aws, MODEL)
    return account.version(ModelDataSha256=hashlib.sha256(MODEL).hexdigest())


def put_model(aws: boto3.Session, content: bytes) -> None:
    aws.client("s3").put_object(Bucket=BUCKET, Key="model.tar.gz", Body=content)


def in_kms(aws: boto3.Session, folder: Path) -> str:
    made = aws.client("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    return str(made["KeyMetadata"]["Arn"])


def in_a_file(aws: boto3.Session, folder: Path) -> str:
    write_key(folder / "signing.key", ec.generate_private_key(ec.SECP256R1()))
    return "signing.key"


def write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    form, nothing = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, nothing))


def switch_on(key: str, usecase: Usecase, environment: str = "dev", **more: bool) -> None:
    """As a person does it: the key, its public half in a file, then the switch."""
    settings = Path(f"config/{environment}.yaml")
    account = settings.read_text()
    settings.write_text(f"{account}\nsigning: {json.dumps({'key': key})}\n")
    status, out, err = usecase("registry", "public-key", "--env", environment)
    assert status == 0, err
    Path("config/signing.pub").write_text(out)
    signing = {"key": key, "enabled": True, "public_key": "config/signing.pub", **more}
    settings.write_text(f"{account}\nsigning: {json.dumps(signing)}\n")


@pytest.mark.parametrize("key_of", [in_kms, in_a_file])
def test_only_a_signed_version_is_deployed(
    key_of: Callable[[boto3.Session, Path], str],
    version: str,
    account: Account,
    aws: boto3.Session,
    terraform: FakeTerraform,
    usecase: Usecase,
    repository: Path,
) -> None:
    switch_on(key_of(aws, repository), usecase)
    account.serve(version, "config-1")
    terraform.plans("serving", **CHANGE)
    terraform.state("serving", endpoint_name="churn-dev", endpoint_config_name="config-1", model_name="config-1")
    status, _, err = usecase("deploy", "--version", "1", "--yes")
    assert status == 1
    assert err.startswith("error: version 1 is not signed, as signing.enabled of dev asks: usecase registry sign 1")
    assert not terraform.called("serving", "plan")

    status, out, err = usecase("registry", "sign", "latest")
    assert (status, err) == (0, "")
    assert "version 1 is signed by" in out
    assert usecase("registry", "verify", "1")[0] == 0
    status, out, err = usecase("deploy", "--version", "1", "--yes")
    assert (status, err) == (0, "")
    assert f"verified: config-1 serves {version}" in out


def archive(folder: Path) -> bytes:
    """A model.tar.gz with the manifest that a container compares."""
    model = folder / "model"
    model.mkdir()
    (model / "model.ubj").write_bytes(MODEL)
    write_manifest(model)
    with tarfile.open(folder / "model.tar.gz", "w:gz") as packed:
        packed.add(model, arcname=".")
    return (folder / "model.tar.gz").read_bytes()


def test_the_container_is_told_what_it_confirms(
    account: Account, aws: boto3.Session, terraform: FakeTerraform, usecase: Usecase, repository: Path, tmp_path: Path
) -> None:
    content = archive(tmp_path)
    put_model(aws, content)
    version = account.version(ModelDataSha256=hashlib.sha256(content).hexdigest())
    switch_on(in_kms(aws, repository), usecase, in_container=True)
    assert usecase("registry", "sign", "1")[0] == 0
    account.serve(version, "config-1")
    terraform.plans("serving", **CHANGE)
    terraform.state("serving", endpoint_name="churn-dev", endpoint_config_name="config-1", model_name="config-1")
    assert usecase("deploy", "--version", "1", "--yes")[0] == 0
    told = [call["values"][0]["container_environment"] for call in terraform.called("serving", "plan")]
    assert usecase("plan", "--root", "serving")[0] == 0
    told += [call["values"][0]["container_environment"] for call in terraform.called("serving", "plan")][1:]
    assert len(told) == 2
    assert told[0] == told[1]  # else each plan would want another model
    check_signature(tmp_path / "model", told[0]["MODEL_PUBLIC_KEY"], told[0]["MODEL_SIGNATURE"])
    (tmp_path / "model" / "handlers.py").write_text("# put in later\n")
    with pytest.raises(UserError, match=r"handlers\.py"):
        check_signature(tmp_path / "model", told[0]["MODEL_PUBLIC_KEY"], told[0]["MODEL_SIGNATURE"])


def test_a_signature_that_no_container_can_check_is_not_deployed(
    version: str, aws: boto3.Session, terraform: FakeTerraform, usecase: Usecase
) -> None:
    switch_on(in_kms(aws, Path()), usecase, in_container=True)
    assert usecase("registry", "sign", "1")[0] == 0
    status, _, err = usecase("deploy", "--version", "1", "--yes")
    assert (status, err.startswith("error: version 1 has no signature of its manifest.json")) == (1, True)
    assert not terraform.called("serving", "plan")


def test_what_kms_signed_is_the_line_of_sha256sum(version: str, aws: boto3.Session, usecase: Usecase) -> None:
    key = in_kms(aws, Path())
    switch_on(key, usecase)
    assert usecase("registry", "sign", "1")[0] == 0
    metadata = aws.client("sagemaker", region_name=REGION).describe_model_package(ModelPackageName=version)[
        "CustomerMetadataProperties"
    ]
    assert len(metadata["ModelSignature"]) <= 256  # the service keeps no more
    line = f"{hashlib.sha256(MODEL).hexdigest()}  model.tar.gz\n".encode()
    answer = aws.client("kms").verify(
        KeyId=key,
        Message=line,
        MessageType="RAW",
        Signature=base64.b64decode(metadata["ModelSignature"]),
        SigningAlgorithm="ECDSA_SHA_256",
    )
    assert answer["SignatureValid"]


def test_a_model_that_was_changed_is_found_even_with_its_checksum_changed_too(
    version: str, account: Account, aws: boto3.Session, usecase: Usecase
) -> None:
    switch_on(in_kms(aws, Path()), usecase)
    assert usecase("registry", "sign", "1")[0] == 0
    put_model(aws, b"another model")
    status, _, err = usecase("registry", "verify", "1")
    assert (status, "is not what was registered" in err) == (1, True)
    checksum = hashlib.sha256(b"another model").hexdigest()
    account.update(version, CustomerMetadataProperties={"ModelDataSha256": checksum})
    for command in (("registry", "verify", "1"), ("deploy", "--version", "1", "--yes")):
        status, _, err = usecase(*command)
        assert (status, err) == (
            1,
            "error: version 1 has a signature that config/signing.pub does not confirm: it cannot be trusted\n",
        )


def test_a_key_whose_public_half_is_another_signs_nothing(version: str, aws: boto3.Session, usecase: Usecase) -> None:
    key, other = in_kms(aws, Path()), in_kms(aws, Path())
    switch_on(key, usecase)
    settings = Path("config/dev.yaml")
    settings.write_text(settings.read_text().replace(key, other))
    status, _, err = usecase("registry", "sign", "1")
    assert (status, "made a signature that config/signing.pub does not confirm" in err) == (1, True)
    assert "is not signed" in usecase("registry", "verify", "1")[2]


@pytest.mark.parametrize(
    ("signing", "complaint"),
    [
        ({}, "signing.key is blank: name the ARN of a KMS key, or a file"),
        ({"key": "nowhere.key"}, "nowhere.key: is no private key in PEM"),
        ({"key": "p384.key"}, "p384.key: is no key of the curve P-256"),
        ({"key": "p256.key"}, "signing.public_key: blank: is no public key in PEM"),
        ({"key": "p256.key", "public_key": "p256.key"}, "signing.public_key: p256.key: is no public key in PEM"),
        ({"key": f"arn:aws:kms:{REGION}:123456789012:key/none"}, f"arn:aws:kms:{REGION}:123456789012:key/none: "),
        ({"enabled": True}, "signing: enabled: true needs public_key"),
    ],
)
def test_settings_that_cannot_sign(
    signing: dict[str, object], complaint: str, version: str, usecase: Usecase, repository: Path
) -> None:
    write_key(repository / "p256.key", ec.generate_private_key(ec.SECP256R1()))
    write_key(repository / "p384.key", ec.generate_private_key(ec.SECP384R1()))
    settings = repository / "config/dev.yaml"
    settings.write_text(f"{settings.read_text()}\nsigning: {json.dumps(signing)}\n")
    status, _, err = usecase("registry", "sign", "1")
    assert (status, complaint in err, err.count("\n")) == (1, True, 1), err
