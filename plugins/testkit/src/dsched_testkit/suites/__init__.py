"""Contract suites: what every plugin of a kind must do, as tests that its author subclasses."""

import pytest

# Failing asserts of the suites explain themselves, as those of a test module do.
pytest.register_assert_rewrite(
    "dsched_testkit.suites.store",
    "dsched_testkit.suites.machine",
    "dsched_testkit.suites.balancer",
    "dsched_testkit.suites.executor",
    "dsched_testkit.suites.observer",
)
