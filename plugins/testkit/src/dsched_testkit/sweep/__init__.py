"""Crash-point sweep: scenarios of the production engine, with a fault at each of their calls."""
