"""Self-diagnosis: a symptom, the checks that can explain it, what each looked at and found, and what to do."""
