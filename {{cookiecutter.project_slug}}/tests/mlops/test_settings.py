"""Settings of an environment: merged, strict, and clear about what is wrong where."""

from pathlib import Path

import pytest

from usecase.mlops.errors import UserError
from usecase.mlops.settings import ENVIRONMENTS, Settings, load_settings

ROOT = Path(__file__).parents[2]
DEFAULTS = """\
project: p
owner_email: a@example.org
container: own
aws_region: eu-central-1
model_package_group: p
quality: {regression: {r2: {minimum: 0.5}, mae: {maximum: 3}}}
"""


def load(folder: Path, own: str, environment: str = "dev") -> Settings:
    (folder / "config").mkdir(exist_ok=True)
    (folder / "config" / "defaults.yaml").write_text(DEFAULTS)
    (folder / "config" / f"{environment}.yaml").write_text(own)
    return load_settings(environment, folder)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_files_of_this_repository_are_valid(environment: str) -> None:
    assert load_settings(environment, ROOT).environment == environment


def test_own_values_win_and_the_rest_stays(tmp_path: Path) -> None:
    settings = load(tmp_path, 'aws_account: "012345678901"\nquality: {regression: {r2: {minimum: 0.9}}}\n')
    assert settings.aws_account == "012345678901"
    limits = settings.quality.regression
    assert (limits["r2"].minimum, limits["mae"].maximum) == (0.9, 3)


def test_a_key_without_a_value_is_not_given(tmp_path: Path) -> None:
    settings = load(tmp_path, "aws_region:\nquality:\n  regression:\n    # r2: { minimum: 0.9 }\n")
    assert settings.aws_region == "eu-central-1"
    assert settings.quality.regression["r2"].minimum == 0.5


@pytest.mark.parametrize(
    ("own", "says"),
    [
        ("servng: {port: 1}", "servng: unknown key"),
        ("serving: {port: 99999}", "serving.port: Input should be less than or equal to 65535"),
        ("aws_account: 123456789012", "aws_account: put the 12 digits in quotes"),
        ('aws_account: "1234"', "aws_account: String should match pattern"),
        ("\nproject: q\nproject: r", "dev.yaml:3: not valid YAML: key 'project' stands twice"),
        ("quality: {regression: {rmse: {}}}", "quality.regression.rmse: give either minimum or maximum"),
        ("a: [1", "not valid YAML"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, own: str, says: str) -> None:
    with pytest.raises(UserError) as error:
        load(tmp_path, own)
    assert says in str(error.value)
    assert "dev.yaml" in str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_environment(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown environment 'staging': use one of local, dev, qa, prod"):
        load_settings("staging", tmp_path)
