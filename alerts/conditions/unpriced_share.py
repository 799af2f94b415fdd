"""The share of tokens whose cost is not known."""

from __future__ import annotations

from alerts.conditions.error_rate import ShareOfWindow
from alerts.conditions.units import Unit
from alerts.models import Window
from metering.query.metrics import Figures


class UnpricedShare(ShareOfWindow):
    name = "unpriced_share"
    title = "Unpriced share"
    about = "More of the tokens than this have no price, so that every amount of money is too low."
    sentence = "{actual} of {label}’s tokens had no price {when_in}, more than {bound}."
    metric = "unpriced_percent"
    windows = (Window.DAY, Window.HOUR)
    threshold = 1_00
    minimum = 1_000
    minimum_unit = Unit.TOKENS
    is_about_money = True
    part = "unpriced_tokens"

    def part_and_whole(self, figures: Figures) -> tuple[int, int]:
        return figures.unpriced_tokens, figures.total_tokens
