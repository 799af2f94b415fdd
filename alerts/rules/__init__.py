"""Rules: who may make which, what they are called, and what they would have found."""
