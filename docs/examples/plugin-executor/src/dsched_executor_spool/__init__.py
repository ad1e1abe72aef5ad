"""Puts a text as a file into a folder, from which something else picks it up."""
