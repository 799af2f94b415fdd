"""Saved views: a page with its range, filters and own parameters, under a name."""
