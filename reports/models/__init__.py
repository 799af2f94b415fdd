"""Tables of reports."""

from reports.models.custom import Result, ResultState
from reports.models.forecasts import Forecast, ForecastMeasure, ForecastScope
from reports.models.insights import AdviceRound, Effort, Insight, InsightEvidence, InsightState
from reports.models.pages import Diagnosis, SavedView, StartPage, Symptom

__all__ = [
    "AdviceRound",
    "Diagnosis",
    "Effort",
    "Forecast",
    "ForecastMeasure",
    "ForecastScope",
    "Insight",
    "InsightEvidence",
    "InsightState",
    "Result",
    "ResultState",
    "SavedView",
    "StartPage",
    "Symptom",
]
