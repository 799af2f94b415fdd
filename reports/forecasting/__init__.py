"""What is likely to be used in the days to come, with how wrong that was before."""
