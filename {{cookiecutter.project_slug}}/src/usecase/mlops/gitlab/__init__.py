"""Makes the project on GitLab what gitlab.yml says: compared first, written where it differs, as often as you like.

Needs python-gitlab, which tools/gitlab_setup.py brings: but for `wanted`, nothing else of the repository imports it.
"""
