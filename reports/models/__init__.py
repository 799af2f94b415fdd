"""Tables of reports."""

from reports.models.comparisons import KeptComparison
from reports.models.custom import CustomReport, Frequency, ReportSchedule, Result, ResultState
from reports.models.forecasts import Forecast, ForecastMeasure, ForecastScope
from reports.models.insights import AdviceRound, Effort, Insight, InsightEvidence, InsightState
from reports.models.monthly import MonthlyReport, ReportScope
from reports.models.pages import Diagnosis, SavedView, StartPage, Symptom

__all__ = [
    "AdviceRound",
    "CustomReport",
    "Diagnosis",
    "Effort",
    "Forecast",
    "ForecastMeasure",
    "ForecastScope",
    "Frequency",
    "Insight",
    "InsightEvidence",
    "InsightState",
    "KeptComparison",
    "MonthlyReport",
    "ReportSchedule",
    "ReportScope",
    "Result",
    "ResultState",
    "SavedView",
    "StartPage",
    "Symptom",
]
