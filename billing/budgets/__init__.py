"""Budgets: what is meant to be spent, set against what is. docs/algorithms/budgets.md has the rules with an example."""
