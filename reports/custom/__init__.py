"""Reports that people put together themselves: run once or by schedule, kept for a while."""
