"""What a worker does, one file a loop: `role` runs them."""
