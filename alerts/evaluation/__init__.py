"""From usage to alerts: what is read, what follows from it, and what is told. docs/algorithms/alerts.md"""
