"""Runs registered Python functions: async, in threads, in child processes."""
