"""The registries behind `@dsched.task` and `@dsched.schedule`."""
