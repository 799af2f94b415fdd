"""Cost and usage as FOCUS 1.2 has it, from the same ledger as every page.

columns.py are the specification's columns, charges.py makes rows of a day's usage, table.py is the file.
docs/guides/exports.md has the mapping with its reasons.
"""
