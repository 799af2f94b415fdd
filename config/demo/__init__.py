"""The live demo: an organization with thirteen months behind it, and one process to run everything."""
