"""The invariants of the test plan, each as a check of the evidence of a run."""
