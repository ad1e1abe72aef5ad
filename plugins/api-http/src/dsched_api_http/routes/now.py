"""The state of the cluster in one answer."""

from dsched_api_http.call import Answer, Call, Route
from dsched_api_http.scopes import Scope
from dsched_api_http.standing import Now


async def get_now(call: Call) -> Answer:
    """What runs, what waits, what is due, and what needs a person."""
    return Answer(body=await call.api.overview.now())


ROUTES = (
    Route(
        method="GET",
        path="/now",
        name="now",
        shared=True,
        scope=Scope.READ,
        handle=get_now,
        summary="What runs, what is due, and what needs a person",
        answer=Now,
    ),
)
