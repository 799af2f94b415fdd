"""What is sent to a customer: an invoice or credit note as data, electronically, and as a PDF that holds both."""
