"""Real pods with a real API, as the API's own tests open them, for tests of what speaks to it."""

import importlib.util

from workspace import ROOT

_spec = importlib.util.spec_from_file_location(
    "api_http_pods", ROOT / "plugins/api-http/tests/conftest.py"
)
assert _spec is not None
assert _spec.loader is not None
_pods = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_pods)

ADMIN: str = _pods.ADMIN
serving = _pods.serving
