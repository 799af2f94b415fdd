"""More tokens than that on one day."""

from alerts.conditions.days import SumOfWindow
from alerts.conditions.units import Unit


class DailyLimit(SumOfWindow):
    name = "daily_limit"
    title = "Daily limit"
    about = "More tokens than this on one day."
    sentence = "{label} used {actual} on {when}, more than {bound}."
    metric = "total_tokens"
    unit = measured = Unit.TOKENS
    threshold = 1_000_000
