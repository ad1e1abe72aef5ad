"""Load balancers: least-tasks, round-robin, consistent-hash with bounded load."""
