"""What checkov finds in plans of Terraform. For checkov's own Python: it is no library that the tests could have.

Usage: python checkov_plans.py FOLDER, which prints for each FOLDER/NAME.json a list of [check, address of the resource]
"""

import json
import sys
from pathlib import Path

from checkov.runner_filter import RunnerFilter  # type: ignore[import-not-found]
from checkov.terraform.plan_runner import Runner  # type: ignore[import-not-found]

PLANS = RunnerFilter(framework=["terraform_plan"])
found = {
    path.stem: sorted(
        {
            (check.check_id, check.resource)
            for check in Runner().run(root_folder=None, files=[str(path)], runner_filter=PLANS).failed_checks
        }
    )
    for path in Path(sys.argv[1]).glob("*.json")
}
json.dump(found, sys.stdout)
