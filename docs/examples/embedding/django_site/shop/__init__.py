"""A Django site whose replicas carry dsched."""
