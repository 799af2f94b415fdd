"""Standard rates of value added tax in the European Union and the United Kingdom, by date and place.

Sources: the Commission's "Taxes in Europe" database and the national acts that changed a rate; tests compare the table
with ibericode/vat-rates where that is at hand. Services delivered electronically are taxed at the standard rate in all
of these countries. A rate holds from its date until the next one's. Nothing before 2015 is known, as no invoice of
this product can be older.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal

import msgspec

_TABLE = """
AT 20|BE 21|BG 20|CY 19|CZ 21|DK 25|ES 21|FR 20|GB 20|HR 25|HU 27|IT 22|LT 21|LV 21|MT 18|NL 21|PL 23|PT 23|SE 25|SI 22
DE 19 2020-07-01 16 2021-01-01 19
EE 20 2024-01-01 22 2025-07-01 24
FI 24 2024-09-01 25.5
GR 23 2016-06-01 24
IE 23 2020-09-01 21 2021-03-01 23
LU 17 2023-01-01 16 2024-01-01 17
RO 24 2016-01-01 20 2017-01-01 19 2025-08-01 21
SK 20 2025-01-01 23
"""
_BEGINNING = dt.date(2015, 1, 1)


class RateUnknownError(LookupError):
    """No rate of that country is known for that date."""


class Territory(msgspec.Struct, frozen=True):
    """A part of a country with another rate; `None`: the country's value added tax does not reach there."""

    name: str
    country: str
    postal_code: str
    percent: Decimal | None


def _parsed() -> dict[str, list[tuple[dt.date, Decimal]]]:
    rates = {}
    for entry in re.split(r"[|\n]", _TABLE.strip()):
        country, first, *later = entry.split()
        changes = [(_BEGINNING, Decimal(first))]
        changes += [
            (dt.date.fromisoformat(day), Decimal(percent)) for day, percent in zip(later[::2], later[1::2], strict=True)
        ]
        rates[country] = changes
    return rates


RATES = _parsed()
EU = frozenset(RATES) - {"GB"}

_TERRITORIES = (
    Territory("Jungholz", "AT", "6691", Decimal(19)),
    Territory("Mittelberg", "AT", "699[123]", Decimal(19)),
    Territory("Büsingen", "DE", "78266", None),
    Territory("Heligoland", "DE", "27498", None),
    Territory("Canary Islands", "ES", "3[58][0-9]{3}", None),
    Territory("Ceuta", "ES", "51[0-9]{3}", None),
    Territory("Melilla", "ES", "52[0-9]{3}", None),
    Territory("Guadeloupe", "FR", "971[0-9]{2}", Decimal("8.5")),
    Territory("Martinique", "FR", "972[0-9]{2}", Decimal("8.5")),
    Territory("French Guiana", "FR", "973[0-9]{2}", None),
    Territory("Réunion", "FR", "974[0-9]{2}", Decimal("8.5")),
    Territory("Mayotte", "FR", "976[0-9]{2}", None),
    Territory("Mount Athos", "GR", "63086", None),
    Territory("Campione d'Italia", "IT", "22061", None),
    Territory("Livigno", "IT", "23041", None),
    Territory("Madeira", "PT", "9[0-4][0-9]{2}.*", Decimal(22)),
    Territory("Azores", "PT", "9[5-9][0-9]{2}.*", Decimal(16)),
)
# Places with a country code of their own that are taxed as part of another country.
_PART_OF = {
    "MC": ("FR", "98000"),
    "IM": ("GB", ""),
    "GP": ("FR", "97100"),
    "MQ": ("FR", "97200"),
    "RE": ("FR", "97400"),
}


def taxed_as(country: str, postal_code: str) -> tuple[str, str]:
    """The country and postal code by whose rules a place is taxed: Monaco's are France's."""
    return _PART_OF.get(country, (country, postal_code))


def territory_of(country: str, postal_code: str) -> Territory | None:
    code = postal_code.replace(" ", "")
    return next((t for t in _TERRITORIES if t.country == country and re.fullmatch(t.postal_code, code)), None)


def standard_rate(country: str, day: dt.date, postal_code: str = "") -> Decimal | None:
    """Percent due in that place on that day; `None` where the tax does not reach.

    Raises RateUnknownError for a country without value added tax in the table, and for a day before it begins.
    """
    if country not in RATES or day < _BEGINNING:
        raise RateUnknownError(f"no rate of {country} on {day}")
    territory = territory_of(country, postal_code)
    if territory is not None:
        return territory.percent
    return next(percent for since, percent in reversed(RATES[country]) if since <= day)
