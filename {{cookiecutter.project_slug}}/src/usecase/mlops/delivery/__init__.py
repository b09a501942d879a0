"""What GitLab's jobs do beyond the verbs for people: evidence, decisions, deployments by event, releases."""
