"""The columns of the rows, and what is done to them: for programs without numpy, too."""

from __future__ import annotations

NUMBERS, CATEGORIES = 20, 5
LEVELS = ("a", "b", "c", "d", "e")
SHARES = (0.4, 0.25, 0.15, 0.12, 0.08)
TRAINED = 5_000
# The column that moves in each case; none without drift.
CASES = {"none": "", "0.2 sd": "n0", "0.5 sd": "n0", "8 % to 18 %": "c0", "25 % to 35 %": "c0", "40 % to 50 %": "c0"}
