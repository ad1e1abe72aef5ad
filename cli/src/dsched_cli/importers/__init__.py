"""From other schedulers to task files: what dsched can say, and what it cannot."""
