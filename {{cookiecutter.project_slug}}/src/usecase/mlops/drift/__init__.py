"""Drift of captured traffic from the training rows: read it, count it, compare it, report it, decide what follows."""
