"""What a handler reports to the audit about what it does."""

import attrs


@attrs.define(kw_only=True)
class Act:
    """``before`` and ``after`` are what `dsched_api_http.audit.fingerprint` made."""

    object: str = ""
    reason: str = ""
    before: str = ""
    after: str = ""
