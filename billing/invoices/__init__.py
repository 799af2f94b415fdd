"""Invoices: what a period comes to, closed once, stated for ever. docs/algorithms/invoices.md has the rules.

charges    a period's fees and usage, exact
lines      charges rounded to minor units, with the tax between seller and buyer, as a document
drafting   the running period so far, as an invoice that nobody has stated yet
closing    a period's end: its invoice, numbered without gaps
payments   money that came, and what an invoice's standing is
crediting  taking an invoice back
telling    what programs and people are told of it
papers     its PDF, made once
listing    invoices by their standing
proof      every invoice recomputed from the events
"""
