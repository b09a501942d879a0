"""The service keeps what its own OpenAPI document says: asked by schemathesis, which makes requests of it."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from service import make_model, running

SCHEMATHESIS, EXAMPLES = "schemathesis==4.32.5", 10  # many more: --max-examples 1000 with the same command


def test_the_document_is_true(tmp_path: Path) -> None:
    """No error of the server, answers of the status, headers and form that it names, and what it allows is answered.

    Of CSV and its like it can only say that they are text. What it forbids may be answered too: the number 40 as "40".
    """
    with running(make_model(tmp_path)) as service:
        address, document = str(service.client.base_url), service.client.get("/openapi.json").json()
        ask(address, document, tmp_path, "negative_data_rejection,positive_data_acceptance")
        body = document["paths"]["/invocations"]["post"]["requestBody"]
        body["content"] = {"application/json": body["content"]["application/json"]}
        ask(address, document, tmp_path, "negative_data_rejection")
    assert not any("Traceback" in line for line in service.lines)


def ask(address: str, document: dict[str, Any], folder: Path, excluded: str) -> None:
    uv = shutil.which("uv") or str(Path(".uv/bin/uv").absolute())
    (folder / "openapi.json").write_text(json.dumps(document))
    command = [uv, "tool", "run", "--quiet", "--from", SCHEMATHESIS, "st", "run", "openapi.json", "--url", address]
    command += ["--checks", "all", "--exclude-checks", excluded, "--max-examples", str(EXAMPLES), "--seed", "1"]
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
