"""The invariants of docs/evidence.md, each as a check of the evidence of a run."""
