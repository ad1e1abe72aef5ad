"""Tokens: list, create, delete."""

import attrs

from dsched_api_http.audit import fingerprint
from dsched_api_http.call import Answer, Call, Route, listing
from dsched_api_http.models import NewToken, TokenView
from dsched_api_http.problems import not_found
from dsched_api_http.requests import CreateToken, Page
from dsched_api_http.routes.asking import named
from dsched_api_http.scopes import Scope
from dsched_api_http.wire import plain


async def list_tokens(call: Call) -> Answer:
    """All tokens, without their secrets."""
    return listing(*await call.page("tokens", call.api.tokens.page))


async def create_token(call: Call) -> Answer:
    """A new token; its secret is shown here and never again."""
    token = await call.api.tokens.create(
        call.body.name,
        call.body.scope,
        by=call.principal.name,
        expires_in=call.body.expires_in,
    )
    call.act.object = token.id
    call.act.after = fingerprint(plain(attrs.evolve(token, token="")))
    return Answer(body=token)


async def delete_token(call: Call) -> Answer:
    """Revoke a token; other pods forget it within seconds."""
    token_id = named(call, "token")
    revoked = await call.api.tokens.revoke(token_id)
    if revoked is None:
        raise not_found("token", token_id)
    call.api.sessions.forget(token_id)
    call.act.before = fingerprint(plain(revoked))
    return Answer()


ROUTES = (
    Route(
        method="GET",
        path="/tokens",
        name="token.list",
        scope=Scope.ADMIN,
        handle=list_tokens,
        summary="List tokens",
        query=Page,
        answer=TokenView,
        listed=True,
    ),
    Route(
        method="POST",
        path="/tokens",
        name="token.create",
        scope=Scope.ADMIN,
        handle=create_token,
        summary="Create a token",
        body=CreateToken,
        answer=NewToken,
        status=201,
        audited=True,
    ),
    Route(
        method="DELETE",
        path="/tokens/{id}",
        name="token.delete",
        scope=Scope.ADMIN,
        handle=delete_token,
        summary="Revoke a token",
        status=204,
        problems=("not_found",),
        audited=True,
    ),
)
