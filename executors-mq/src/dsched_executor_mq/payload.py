"""Reads a task's payload into an `Order`, or says everything that is wrong with it."""

import re
from collections.abc import Mapping

import attrs

from dsched.contracts.executor.secrets import (
    fill,
    fill_json,
    mentions_secret,
    reference_problem,
    references,
    texts_of,
)
from dsched.model import JsonValue
from dsched.model.json import dumps
from dsched.wording import unknown_keys
from dsched_executor_mq.address import Kind
from dsched_executor_mq.failures import bad_payload
from dsched_executor_mq.headers import header_problems
from dsched_executor_mq.options import BROKER_NAME
from dsched_executor_mq.target import KEYS_OF, Target, read_target

KEYS = (
    *("broker", "exchange", "routing_key", "persistent", "subject", "jetstream", "topic", "key"),
    *("stream", "headers", "json", "body", "reply", "callback"),
)
_BROKER = re.compile(BROKER_NAME)


@attrs.frozen(kw_only=True)
class Order:
    """A payload, read. Equal payloads give equal orders. Holds no secret's value."""

    broker: str
    target: Target
    headers: Mapping[str, str]
    template: JsonValue  # of the body: text if ``is_text``, else any JSON; None: no body
    is_text: bool
    reply: bool
    callback: bool = False

    @property
    def secrets(self) -> list[str]:
        """The references that must be filled in first, each once."""
        texts = (*self.headers.values(), *texts_of(self.template))
        return list(dict.fromkeys(found for text in texts for found in references(text)))

    def body_with(self, values: Mapping[str, str]) -> bytes:
        """The body to send, references replaced by ``values``."""
        if self.template is None:
            return b""
        if self.is_text:
            return fill(self.template, values).encode()
        return dumps(fill_json(self.template, values)).encode()

    @property
    def content_type(self) -> str:
        """What the body is, unless the payload's headers say otherwise."""
        if self.template is None:
            return ""
        return "text/plain; charset=utf-8" if self.is_text else "application/json"


def check_payload(payload: JsonValue) -> list[str]:
    """The problems of a payload, found without asking any broker; empty when it is fine."""
    return _read(payload)[1]


def parse_payload(payload: JsonValue) -> Order:
    """The order that a payload describes; raises a `TaskFailed` that is not worth a retry."""
    order, problems = _read(payload)
    if problems or order is None:
        raise bad_payload("the payload cannot be published: " + "; ".join(problems))
    return order


def _read(payload: JsonValue) -> tuple[Order | None, list[str]]:
    if not isinstance(payload, Mapping):
        wanted = "such as {broker: orders, subject: jobs.report, json: {day: yesterday}}"
        return None, [f"payload: must map keys to values, {wanted}"]
    problems = unknown_keys(payload, KEYS)
    broker = payload.get("broker")
    if not isinstance(broker, str) or not _BROKER.fullmatch(broker):
        problems.append("broker: is required, one of the names under executors.mq.brokers")
    target = read_target(payload, problems)
    headers = payload.get("headers")
    if headers is not None:
        problems += header_problems(headers)
    text = _text(payload, problems)
    reply = _flag(payload, "reply", problems)
    callback = _flag(payload, "callback", problems)
    if reply and callback:
        problems.append("callback: give reply or callback, not both")
    if target is not None and not target.jetstream and not reply:
        problems.append(
            "jetstream: false needs `reply: true`: without JetStream nobody else would say that "
            "the message has arrived"
        )
    _check_references(payload, problems)
    if problems or target is None:
        return None, problems
    order = Order(
        broker=str(broker),
        target=target,
        headers=dict(headers or {}),
        template=payload.get("json") if text is None else text,
        is_text=text is not None,
        reply=reply,
        callback=callback,
    )
    return order, []


def _text(payload: Mapping[str, JsonValue], problems: list[str]) -> str | None:
    body = payload.get("body")
    if body is None:
        return None
    if payload.get("json") is not None:
        problems.append("body: give json or body, not both")
    if not isinstance(body, str):
        problems.append("body: must be text; give a structure as json")
        return None
    try:
        body.encode()
    except UnicodeEncodeError:
        problems.append("body: contains half a character (a lone surrogate)")
    return body


def _flag(payload: Mapping[str, JsonValue], key: str, problems: list[str]) -> bool:
    value = payload.get(key)
    if not isinstance(value, bool | None):
        problems.append(f"{key}: must be true or false")
    return value is True


def _check_references(payload: Mapping[str, JsonValue], problems: list[str]) -> None:
    """References stand in header values and bodies only: a target ends up in everybody's logs."""
    problems += [
        f"{key}: cannot hold a secret reference; put it into a header or the body"
        for key in (each for kind in Kind for each in KEYS_OF[kind])
        if any(mentions_secret(text) for text in texts_of(payload.get(key)))
    ]
    for key in ("headers", "json", "body"):
        found = map(reference_problem, texts_of(payload.get(key)))
        problems += [f"{key}: {problem}" for problem in found if problem is not None][:1]
