"""The report of a month: made after it is closed, kept as a document, sent to who wants it."""
