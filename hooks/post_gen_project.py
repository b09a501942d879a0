"""Cookiecutter runs this in the new project. The values are its only Jinja; the work is in birth.py beside it."""

import json
import sys
from pathlib import Path

answers, template = json.loads({{[cookiecutter, template_folder()] | tojson | tojson}})
sys.path.insert(0, str(Path(template, "hooks")))

import birth  # noqa: E402

birth.finish(Path(), Path(template), answers)
