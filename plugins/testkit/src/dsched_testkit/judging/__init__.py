"""What a virtual run leaves behind: its evidence for the checker, and what only the store can
show."""
