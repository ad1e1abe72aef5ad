"""Runs a task as one HTTP request, guarded against SSRF."""
