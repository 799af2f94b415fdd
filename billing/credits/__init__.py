"""Credits: prepaid money, granted, used up, expired. docs/algorithms/credits.md has the rules with an example."""
