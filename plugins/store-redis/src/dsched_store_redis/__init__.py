"""The shared store: Redis or Valkey, standalone, Sentinel or Cluster."""
