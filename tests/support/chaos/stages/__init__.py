"""The stores that chaos happens to, one a module, and how each is opened."""
