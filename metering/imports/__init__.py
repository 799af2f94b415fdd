"""Usage that happened elsewhere, from CSV and JSONL files.

reader    bytes → rows, streaming
recognize the file's columns → a mapping to propose
mapping   a row → an event document, as POST /v1/events takes it
identity  an id for rows that have none, so that a second run changes nothing
run       rows → pipeline.record, a transaction a batch
"""
