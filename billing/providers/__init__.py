"""Payment providers. Each is a folder that can be taken away."""
