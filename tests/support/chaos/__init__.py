"""Real processes on real stores under faults drawn from a seed, and evidence of what happened."""
