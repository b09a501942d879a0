"""The one exception that a person is meant to read, and what its messages share."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Something a person can mend. The message is one line: what is wrong, where, and how to fix it."""


def meant(word: str, known: Iterable[str]) -> str:
    """What someone who wrote `word` may have meant: the known word that is nearest, else all of them."""
    known = list(known)
    near = get_close_matches(word, known, n=1)
    return f"did you mean {near[0]}?" if near else f"there are: {', '.join(known) or 'none'}"
