"""The one exception that a person is meant to read."""


class UserError(Exception):
    """Something a person can mend. The message is one line: what is wrong, where, and how to fix it."""
