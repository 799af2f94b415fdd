"""This app's part of /v1/."""
