"""Arguments of `dsched-run`."""

import pytest

from dsched.launcher.arguments import parse


@pytest.mark.parametrize(
    ("argv", "roles"),
    [
        ([], None),
        (["--role", "scheduler,worker"], {"scheduler", "worker"}),
        (["--role", "scheduler", "--role", "worker, api"], {"scheduler", "worker", "api"}),
    ],
)
def test_roles_may_be_given_together_or_one_by_one(argv, roles):
    assert parse(argv).roles == roles
