"""What a page for people is made of: sections with text, tables and plots. How they look is the matter of `page`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from usecase.mlops.baseline.plots import Plot


@dataclass(frozen=True)
class Text:
    """Markdown: paragraphs, small headings, lists, bold, italics, code and links."""

    markdown: str


class Verdict(NamedTuple):
    """A cell that is good, bad or plain."""

    text: str
    tone: Literal["good", "bad", "plain"]


@dataclass(frozen=True)
class Table:
    """Rows of text under a head; `numeric` columns are set flush right. With a `summary` it is folded away."""

    head: Sequence[str]
    rows: Sequence[Sequence[str | Verdict]]
    numeric: frozenset[int] = frozenset()
    summary: str = ""


@dataclass(frozen=True)
class Figures:
    """Plots, side by side where there is room."""

    plots: Sequence[Plot]


Block = Text | Table | Figures


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Tile:
    """A number that a reader should see first; `tone` is good, bad or plain."""

    label: str
    value: str
    note: str = ""
    tone: Literal["good", "bad", "plain"] = "plain"


@dataclass(frozen=True)
class Card:
    """A whole page; `kind` says above the title what it is."""

    title: str
    summary: str
    tiles: Sequence[Tile]
    notice: str
    sections: Sequence[Section] = field(default_factory=list)
    kind: str = "Model card"

    @property
    def plots(self) -> list[Plot]:
        """All plots, in order."""
        blocks = [block for section in self.sections for block in section.blocks]
        return [plot for block in blocks if isinstance(block, Figures) for plot in block.plots]
