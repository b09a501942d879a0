"""The team's own words for the model card: docs/model_card.md."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from usecase.mlops.errors import UserError

Rating = Literal["Low", "Medium", "High", "Unknown"]
SECTIONS = ("Purpose", "Intended use", "Out of scope", "Risks and ethical considerations", "Caveats")
RATINGS: tuple[Rating, ...] = ("Low", "Medium", "High", "Unknown")

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_HEADING = re.compile(r"^##[ \t]+(\S.*?)[ \t]*$", re.MULTILINE)
_RATING = re.compile(rf"^risk rating:[ \t]*({'|'.join(RATINGS)})\b[.,;:]?[ \t]*", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class Words:
    """docs/model_card.md: text by section, in the order of the file; the known sections are there, filled in or not."""

    sections: Mapping[str, str]
    risk_rating: Rating = "Unknown"

    @property
    def unfilled(self) -> list[str]:
        """The known sections without text."""
        return [title for title in SECTIONS if not self.sections[title]]

    @classmethod
    def read(cls, place: Path) -> "Words":
        """The Markdown file, or the one in a folder. Hints in comments are no text. Raises UserError."""
        file = next(iter(sorted(place.glob("*.md"))), place / "model_card.md") if place.is_dir() else place
        try:
            text = _COMMENT.sub("", file.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{file}: the words of the model card cannot be read ({error})") from None
        rating = _RATING.search(text)
        parts = _HEADING.split(_RATING.sub("", text))
        found = {title: body.strip() for title, body in zip(parts[1::2], parts[2::2], strict=True)}
        if len(found) < len(parts) // 2:
            raise UserError(f"{file}: two sections have the same heading: join them")
        known = {title: found.pop(title, "") for title in SECTIONS}
        rated = rating.group(1).capitalize() if rating else "Unknown"
        return cls({**known, **found}, next(word for word in RATINGS if word == rated))
