"""Tax on what is sold: amounts that cannot disagree, rates by date, and which of them applies to whom."""
