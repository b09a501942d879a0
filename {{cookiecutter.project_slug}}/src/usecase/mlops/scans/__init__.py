"""Scans of the repository: `usecase scan NAME...`, on a laptop as in CI.

Each scan runs a tool, or reads the report of one, and turns what it found into findings. Those that config/waivers.yaml
accepts for a while are left out, the rest is held against a threshold of the settings (`scans.fail_at`) and written to
gl-NAME-report.json, which every tier of GitLab shows in the merge request.
"""
