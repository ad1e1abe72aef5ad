"""A cluster in virtual time around a user's own tasks, for the user's own tests."""
