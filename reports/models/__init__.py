"""Tables of reports."""

from reports.models.pages import Diagnosis, SavedView, StartPage, Symptom

__all__ = ["Diagnosis", "SavedView", "StartPage", "Symptom"]
