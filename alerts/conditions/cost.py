"""More dollars than that in an hour, on a day or in a month. What has no price counts nothing."""

from alerts.conditions.days import SumOfWindow
from alerts.conditions.units import Unit
from alerts.models import Window
from core.money import NANOS_PER_USD


class Cost(SumOfWindow):
    name = "cost"
    title = "Cost"
    about = "More dollars than this in an hour, on a day or in a month. Usage without a price counts nothing."
    sentence = "{label} cost {actual} {when_in}, more than {bound}."
    metric = "cost_usd"
    unit = measured = Unit.USD
    windows = (Window.DAY, Window.HOUR, Window.MONTH)
    threshold = 10 * NANOS_PER_USD
    is_about_money = True
    part = "known_cost_nanos"
