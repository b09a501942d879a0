"""The code of the jobs as one folder: the same bytes for the same input, libraries of the lock for AWS's own image."""

import base64
import hashlib
import os
import re
import shutil
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from usecase.mlops.aws import bundle_commands
from usecase.mlops.aws.bundle import IMAGE_PACKAGES, PLATFORM, code_bundle
from usecase.mlops.errors import UserError
from usecase.mlops.settings import ManagedImage, Settings

UV = os.environ.get("UV") or shutil.which("uv")
if UV is None and os.environ.get("CI"):
    raise RuntimeError("uv is not installed")
MANYLINUX = f"{PLATFORM.partition('-')[2]}_x86_64"
needs_uv = pytest.mark.skipif(UV is None, reason="uv is not installed")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with code, and with what a working tree has beside it."""
    root = tmp_path / "repository"
    for name in (
        "src/usecase/__init__.py",
        "src/usecase/train.py",
        "src/helpers/words.txt",
        "src/usecase/__pycache__/train.cpython-312.pyc",
        "src/usecase/old.pyc",
        "src/usecase/.ipynb_checkpoints/train.py",
        "src/usecase.egg-info/PKG-INFO",
        "src/.mypy_cache/x.json",
        "tests/test_train.py",
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root


@pytest.fixture
def managed(settings: Settings) -> Settings:
    return settings.model_copy(update={"container": "managed", "managed_image": ManagedImage(python="3.12")})


def test_the_own_container_gets_the_code_alone(repository: Path, tmp_path: Path, settings: Settings) -> None:
    bundle = code_bundle(settings, tmp_path / "code", repository)
    assert bundle.kind == "code"
    assert set(bundle.files) == {"usecase/__init__.py", "usecase/train.py", "helpers/words.txt"}
    assert str(bundle) == "code: 3 files, 0.1 KiB"
    again = code_bundle(settings, tmp_path / "again", repository)
    assert again.sha256 == bundle.sha256
    (repository / "src" / "usecase" / "train.py").write_text("changed")
    assert code_bundle(settings, tmp_path / "changed", repository).sha256 != bundle.sha256


def test_a_repository_without_the_package_is_refused(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(UserError, match="src: holds no package `usecase`"):
        code_bundle(settings, tmp_path / "code", tmp_path)


def test_libraries_need_a_lock(repository: Path, tmp_path: Path, managed: Settings) -> None:
    with pytest.raises(UserError, match=r"uv.lock: no such file: `make setup` makes it"):
        code_bundle(managed, tmp_path / "code", repository)


def wheel(index: Path, name: str, tag: str, needs: str = "") -> None:
    """A wheel with one module that holds its tag, a script, and a folder of metadata."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}/__init__.py": f"TAG = {tag!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needs}",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    rows = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(text)}")
    with zipfile.ZipFile(index / f"{name}-1.0-{tag}.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(f"{info}/RECORD", "\n".join([*rows, f"{info}/RECORD,,", ""]))


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def locked(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The repository with a lock over a package index of small wheels on this machine."""
    index = repository / "index"
    index.mkdir()
    for tag in (f"cp312-cp312-{MANYLINUX}", "cp311-cp311-win_amd64", "py3-none-macosx_11_0_arm64"):
        wheel(index, "alpha", tag)
    wheel(index, "beta", "py3-none-any", "Requires-Dist: numpy\n")
    for name in ("numpy", "gamma"):
        wheel(index, name, "py3-none-any")
    for name in ("alpha", "beta", "numpy", "gamma"):
        (index / name).mkdir()
        files = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in index.glob(f"{name}-*.whl")}
        links = [f'<a href="../{file}#sha256={sha256}">{file}</a>' for file, sha256 in files.items()]
        (index / name / "index.html").write_text("<!DOCTYPE html><html><body>" + "".join(links) + "</body></html>")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(index)))
    threading.Thread(target=server.serve_forever).start()
    url = f"http://127.0.0.1:{server.server_port}/"
    (repository / "pyproject.toml").write_text(
        '[project]\nname = "churn"\nversion = "0.1.0"\nrequires-python = ">=3.11"\ndependencies = ["beta"]\n'
        '[dependency-groups]\nmlops = ["alpha"]\ndev = ["gamma"]\n[tool.uv]\npackage = false\n'
        f'[[tool.uv.index]]\nname = "wheels"\nurl = "{url}"\ndefault = true\n'
    )
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UV_CACHE_DIR", str(repository.parent / "cache"))
    try:
        subprocess.run([str(UV), "--quiet", "lock"], cwd=repository, check=True)
        yield repository
    finally:
        server.shutdown()
        server.server_close()


@needs_uv
def test_the_managed_container_gets_what_its_image_lacks(locked: Path, tmp_path: Path, managed: Settings) -> None:
    """The user's dependencies too, by their wheels for the image, and nothing of the installer or this machine."""
    bundle = code_bundle(managed, tmp_path / "code", locked)
    libraries = {name for name in bundle.files if name.partition("/")[0] not in ("usecase", "helpers")}
    assert libraries == {
        f"{name}{rest}"
        for name in ("alpha", "beta")
        for rest in (
            "/__init__.py",
            "-1.0.dist-info/METADATA",
            "-1.0.dist-info/WHEEL",
            "-1.0.dist-info/entry_points.txt",
        )
    }
    assert "cp312-cp312-manylinux" in bundle.files["alpha/__init__.py"].read_text()
    assert "numpy" in IMAGE_PACKAGES
    assert code_bundle(managed, tmp_path / "elsewhere" / "code", locked).sha256 == bundle.sha256


@needs_uv
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("another wheel", "uv pip install: .*[Hh]ash mismatch"),
        ("no wheel", "uv pip install: .*alpha"),
        ("same name", "src/alpha: a locked library brings the same name: rename yours"),
        ("no hashes", "uv pip install: .*must have a hash"),
        ("damaged lock", "uv export: .*uv.lock"),
    ],
)
def test_libraries_that_cannot_be_had_are_one_line(
    change: str, says: str, locked: Path, tmp_path: Path, managed: Settings
) -> None:
    match change:
        case "another wheel":
            with zipfile.ZipFile(next((locked / "index").glob("alpha*manylinux*")), "a") as archive:
                archive.writestr("alpha/planted.py", "x")
        case "no wheel":
            managed = managed.model_copy(update={"managed_image": ManagedImage(python="3.13")})
        case "same name":
            (locked / "src" / "alpha").mkdir()
        case "no hashes":
            lock = (locked / "uv.lock").read_text()
            (locked / "uv.lock").write_text(re.sub(r', hash = "sha256:\w+"', "", lock))
        case "damaged lock":
            (locked / "uv.lock").write_text("x")
    with pytest.raises(UserError, match=says) as error:
        code_bundle(managed, tmp_path / "code", locked)
    assert "\n" not in str(error.value)


def test_the_command_leaves_the_folder_that_would_be_sent(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], settings: Settings
) -> None:
    (repository / ".local/bundle/usecase").mkdir(parents=True)
    (repository / ".local/bundle/usecase/removed.py").touch()
    monkeypatch.chdir(repository)
    monkeypatch.setattr("usecase.mlops.settings.load_settings", lambda _: settings)
    bundle_commands.bundle("dev")
    sent = code_bundle(settings, repository / "other", repository)
    made = {path.relative_to(".local/bundle").as_posix() for path in Path(".local/bundle").rglob("*") if path.is_file()}
    assert made == set(sent.files)
    assert f"sha256 {sent.sha256}" in capsys.readouterr().out
    assert [path.name for path in Path(".local").iterdir()] == ["bundle"]
