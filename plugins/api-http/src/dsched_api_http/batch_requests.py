"""What a batch is asked with beyond what one alone would be."""

import attrs

from dsched_api_http.requests import PutQuery


@attrs.frozen(kw_only=True)
class PutManyQuery(PutQuery):
    """``brief``: a config is answered only where a dry run would change it, or warns of it."""

    brief: bool = False
