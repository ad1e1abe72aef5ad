"""What the leader of a cluster does, one file a loop: `leading` runs them for a term."""
