"""What is unusual about usage, and why (docs/algorithms/anomalies.md). `judging.judge` is what others call."""
