"""Plans, credits and budgets as the API tells them."""
