"""The windows that were looked at before, in history.json: what a plot over time and a decision are made of."""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from usecase.mlops.drift.judge import Verdict
from usecase.mlops.errors import UserError
from usecase.mlops.files import write_json
from usecase.mlops.yamlfile import parse

FILE_NAME = "history.json"
MAX_WINDOWS = 100


class Entry(BaseModel):
    """One window: its data, the baseline that it was held against, and what was found.

    `gaps` between groups are by column and measure.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str
    baseline_sha256: str
    first: str = ""
    last: str = ""
    rows: int
    verdict: Verdict
    columns: list[str] = []
    effects: dict[str, float] = {}
    gaps: dict[str, float] = {}
    importance_shift: float | None = None

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What tells windows apart: looking at one twice is looking at it once."""
        return self.data, self.baseline_sha256, self.first, self.last


class History(BaseModel):
    """history.json: the newest MAX_WINDOWS windows, from old to new."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    windows: list[Entry] = []

    @classmethod
    def load(cls, file: Path) -> "History":
        """The history in `file`; none when there is no such file. Raises UserError."""
        if not file.exists():
            return cls()
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{file}: cannot be read as JSON ({error}): remove it to begin anew") from None
        return parse(cls, content, str(file))

    def save(self, file: Path) -> None:
        """Write the file, complete or not at all. Raises OSError."""
        write_json(file, self.model_dump())

    def of(self, baseline_sha256: str) -> list[Entry]:
        """The windows that were held against one baseline."""
        return [entry for entry in self.windows if entry.baseline_sha256 == baseline_sha256]

    def with_window(self, entry: Entry) -> "History":
        """With a window more, or anew when it was looked at before."""
        windows = [entry if known.key == entry.key else known for known in self.windows]
        windows += [] if entry in windows else [entry]
        ordered = sorted(windows, key=lambda window: window.last) if all(w.last for w in windows) else windows
        return History(windows=ordered[-MAX_WINDOWS:])
