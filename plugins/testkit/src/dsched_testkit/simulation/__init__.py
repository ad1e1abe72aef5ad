"""Whole clusters of the production code in virtual time, with faults, by seed."""
