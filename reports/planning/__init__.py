"""Budgets proposed from what is likely to come."""
