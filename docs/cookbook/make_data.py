"""Synthetic data for the cookbook: made up by the rules below, of no real customer, flat or firm. The seed is fixed.

Usage: python3 make_data.py churn|price|leads [ROWS] > FILE.csv
"""

from __future__ import annotations

import csv
import math
import random
import sys
from collections.abc import Callable
from datetime import date, timedelta

Row = dict[str, object]


def _chance(score: float, dice: random.Random) -> bool:
    return dice.random() < 1 / (1 + math.exp(-score))


def _sometimes(value: object, share: float, dice: random.Random) -> object:
    """The value, or nothing in a share of the rows."""
    return "" if dice.random() < share else value


def churn(number: int, dice: random.Random) -> Row:
    """A customer of a telephone company, and whether the contract was ended within three months."""
    contract = dice.choices(["month", "year", "two years"], [5, 3, 2])[0]
    tenure = dice.randint(1, 72)
    plan = dice.choice([5, 10, 20, 50])
    used = plan * dice.uniform(0.1, 1.5)
    calls = min(9, int(dice.expovariate(0.7)))
    payment = dice.choice(["card", "debit", "invoice"])
    score = {"month": 0.8, "year": -0.8, "two years": -2.0}[contract] - tenure / 40 + calls / 4
    score += 6 * (used / plan - 0.9) + (0.6 if payment == "invoice" else 0)
    return {
        "customer_id": f"C{number:06d}",
        "signed_on": date(2026, 6, 30) - timedelta(days=30 * tenure + dice.randint(0, 29)),
        "contract": contract,
        "payment": _sometimes(payment, 0.06, dice),
        "region": dice.choice(["north", "south", "east", "west"]),
        "tenure_months": tenure,
        "plan_gb": plan,
        "used_gb": _sometimes(round(used, 2), 0.04, dice),
        "support_calls": calls,
        "paperless": dice.choice(["true", "false"]),
        "churned": "yes" if _chance(score - 0.6, dice) else "no",
    }


def price(number: int, dice: random.Random) -> Row:
    """A flat, and the price at which it was sold, in thousands."""
    area = round(dice.uniform(25, 160), 1)
    district = dice.choice(["centre", "harbour", "hills", "old town", "park", "station", "west end"])
    built = dice.randint(1900, 2024)
    energy = dice.choice("ABCDEFG")
    floor = dice.randint(0, 8)
    level = {"centre": 6.1, "old town": 5.8, "park": 5.2, "harbour": 5.0, "west end": 4.4, "hills": 4.2, "station": 3.6}
    value = area * level[district] * (1 + (built - 1960) / 400) * (1 - 0.03 * "ABCDEFG".index(energy))
    return {
        "flat_id": f"F{number:06d}",
        "area_m2": area,
        "rooms": max(1, round(area / 28 + dice.gauss(0, 0.6))),
        "district": district,
        "built_in": _sometimes(built, 0.05, dice),
        "floor": floor,
        "lift": "true" if floor > 3 or dice.random() < 0.3 else "false",
        "energy_class": _sometimes(energy, 0.12, dice),
        "price": round(value * math.exp(dice.gauss(0, 0.09)) + 4 * floor, 1),
    }


def leads(number: int, dice: random.Random) -> Row:
    """A firm that asked for an offer, and how far it went: nothing, a trial or a purchase."""
    staff = int(math.exp(dice.uniform(0, 8))) + 1
    source = dice.choices(["fair", "partner", "search", "newsletter"], [2, 2, 4, 3])[0]
    visits = int(dice.expovariate(0.25))
    interest = visits / 5 + {"fair": 0.8, "partner": 1.2, "search": 0, "newsletter": -0.5}[source] + dice.gauss(0, 0.5)
    return {
        "lead_id": f"L{number:06d}",
        "asked_on": date(2026, 1, 1) + timedelta(days=dice.randint(0, 180)),
        "industry": dice.choice(["food", "health", "machines", "public", "retail", "software"]),
        "source": source,
        "staff": _sometimes(staff, 0.08, dice),
        "visits": visits,
        "outcome": "purchase" if interest > 1.8 and staff > 20 else "trial" if interest > 0.8 else "nothing",
    }


KINDS: dict[str, Callable[[int, random.Random], Row]] = {"churn": churn, "price": price, "leads": leads}


def main() -> None:
    """Write the rows to standard output."""
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in KINDS or not all(word.isdigit() for word in sys.argv[2:]):
        sys.exit("error: which data? " + str(__doc__).strip().splitlines()[-1])
    kind, rows = sys.argv[1], int(sys.argv[2]) if sys.argv[2:] else 1500
    dice = random.Random(kind)
    made = [KINDS[kind](number, dice) for number in range(1, rows + 1)]
    writer = csv.DictWriter(sys.stdout, list(made[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(made)


if __name__ == "__main__":
    main()
