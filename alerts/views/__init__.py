"""Pages: what is told, and where."""
