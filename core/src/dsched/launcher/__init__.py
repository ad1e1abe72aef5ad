"""The `dsched-run` command."""
