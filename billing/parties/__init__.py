"""Who sells and who buys, kept right: the seller and its rates by the operator, an organization's details by itself."""
