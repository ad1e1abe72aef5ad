"""Runs a task as one unary gRPC call, by reflection or descriptor set."""
