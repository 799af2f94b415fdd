"""The API of this app, one module per noun."""
