"""The archives of `make dist`, and environments that hold what was built and nothing else of
ours."""

import subprocess
import sys

import pytest
from wheels import bare_environment, install
from workspace import ROOT

import dsched


@pytest.fixture(scope="session")
def dist(tmp_path_factory):
    """Wheels and source archives of all distributions, as `make dist` builds them."""
    folder = tmp_path_factory.mktemp("dist")
    # -o: the environment of the tests is there already, and stays as it is
    target = ["make", "-o", "dev", "dist", f"DIST={folder}", f"VENV={sys.prefix}"]
    built = subprocess.run(
        target, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="session")
def environment(tmp_path_factory, dist):
    """Call it with requirements: a python with these of our wheels."""

    def made(*wanted):
        python = bare_environment(tmp_path_factory.mktemp("bare"))
        install(python, dist, *wanted)
        return python

    return made


@pytest.fixture(scope="session")
def bare(environment):
    """A python with everything that an extra of the core names."""
    return environment(f"dsched[all]=={dsched.__version__}")
