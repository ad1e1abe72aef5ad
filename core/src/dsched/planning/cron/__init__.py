"""Cron expressions: fields, days, patterns, and the instants of an expression."""
