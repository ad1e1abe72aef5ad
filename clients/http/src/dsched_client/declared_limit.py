"""A stored limit and whose it is; apart from the other values, as it brings the model with it."""

import attrs

from dsched.model import API_ORIGIN, Limit


@attrs.frozen(kw_only=True)
class DeclaredLimit(Limit):
    """A limit, and who declares it."""

    origin: str = API_ORIGIN
