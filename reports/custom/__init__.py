"""Reports that people put together themselves: run once or by schedule, kept for a while.

`MAKERS` names who makes the files that `results.py` keeps: a module with `make` and `ended` (results.Maker).
"""

MAKERS: dict[str, str] = {"report": "reports.custom.making", "export": "reports.exporting"}
