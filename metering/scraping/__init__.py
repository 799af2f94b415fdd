"""What the operator's Prometheus fetches: GET /metrics."""
