"""What a handler says of what it does, for the audit."""

import attrs


@attrs.define(kw_only=True)
class Act:
    """``before`` and ``after`` are what `dsched_api_http.audit.fingerprint` made."""

    object: str = ""
    reason: str = ""
    before: str = ""
    after: str = ""
