"""Dates and times of day out of text, read as training reads them: by polars, which reads as Rust's chrono does.

Numbers may be shorter than their width and have blanks before them; a second of 60 is the next minute.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta

# Possessive, as chrono takes all digits that it may and never gives one back.
FIELDS = {
    "%Y": r"\s*+(?P<year>\+?\d{1,4}+)",
    "%m": r"\s*+(?P<month>\d{1,2}+)",
    "%d": r"\s*+(?P<day>\d{1,2}+)",
    "%H": r"\s*+(?P<hour>\d{1,2}+)",
    "%M": r"\s*+(?P<minute>\d{1,2}+)",
    "%S": r"\s*+(?P<second>\d{1,2}+)",
    "%.f": r"(?:\.(?P<fraction>\d++))?",
    "%%": "%",
}
TOKEN = re.compile(r"%\.f|%.|[^%]+", re.DOTALL)
MICROSECOND_DIGITS = 6


def time_reader(pattern: str) -> Callable[[str], datetime]:
    """A function that reads text written as `pattern` (strftime); it raises ValueError for other text."""
    tokens = TOKEN.findall(pattern)
    if any(token.startswith("%") and token not in FIELDS for token in tokens):
        return lambda text: datetime.strptime(text, pattern.replace("%.f", ".%f"))
    form = re.compile("".join(FIELDS.get(token, re.escape(token)) for token in tokens), re.ASCII)

    def read(text: str) -> datetime:
        found = form.fullmatch(text)
        if found is None:
            raise ValueError(text)
        fields = found.groupdict()
        fraction = fields.pop("fraction", None) or ""
        parts = {name: int(digits) for name, digits in fields.items()}
        late = parts.get("second") == 60
        if late:
            parts["second"] = 59
        micro = int(fraction[:MICROSECOND_DIGITS].ljust(MICROSECOND_DIGITS, "0"))
        return datetime(**parts, microsecond=micro) + timedelta(seconds=late)  # type: ignore[arg-type]

    return read
