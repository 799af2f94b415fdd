"""Limits that hold before a call is made: request rates, allowances, budgets, credits."""
