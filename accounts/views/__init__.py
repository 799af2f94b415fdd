"""Pages for people, one module per noun."""
