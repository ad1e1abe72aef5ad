"""The engine: one file a loop. `leader` and `worker` compose them, `pod` composes those."""
