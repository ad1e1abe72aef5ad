"""Shapes of Python code: a snippet that is found in a function by its syntax tree, and changed
there.

Line breaks, comments and quotes do not matter. ``...`` in a snippet stands for any expression, or,
in a list (of statements, arguments, operands), for any number of them; a ``...`` in what replaces
the snippet is what the same ``...`` stood for.
"""

import ast
import copy
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import attrs

Captured = tuple[Any, ...]
Tree = TypeVar("Tree", bound=ast.stmt | ast.Module)

_ASSIGNED = (ast.Store, ast.Del)  # not read: no expression
_IGNORED = {"ctx", "kind", "type_comment", "type_params"}


class ShapeError(Exception):
    """A snippet is not found, is found more than once, or cannot be changed so."""


@attrs.frozen
class _Found:
    """A match: ``count`` items of ``owner.field`` from ``index`` on (``index`` None: no list)."""

    owner: ast.AST
    field: str
    index: int | None
    count: int
    captured: Captured

    @property
    def node(self) -> ast.AST:
        held: Any = getattr(self.owner, self.field)
        node: ast.AST = held if self.index is None else held[self.index]
        return node


def replace(tree: Tree, shape: str, by: str) -> Tree:
    """A copy of ``tree`` in which the one ``shape`` is ``by``."""
    tree = copy.deepcopy(tree)
    if _is_expression(shape) and _is_expression(by):
        found = _only(shape, _expressions(tree, _expression(shape)))
        _put(found, [_filled(_expression(by), list(found.captured))])
        return tree
    found = _only(shape, [*_keywords(tree, shape), *_statements(tree, _block(shape))])
    named = _keyword(by) if isinstance(found.node, ast.keyword) else None
    template = [named] if named is not None else _block(by)
    _put(found, _filled_list(template, list(found.captured)))
    return tree


def drop(tree: Tree, shape: str) -> Tree:
    """A copy of ``tree`` without ``shape``: statements, an operand of ``and``/``or``, an argument,
    an element. Of an ``if`` only its branch is dropped: what ``else`` held remains."""
    tree = copy.deepcopy(tree)
    if not _is_expression(shape):
        return _drop_statements(tree, shape)
    found = _only(shape, _expressions(tree, _expression(shape)))
    match found.owner:
        case ast.Expr():
            statement = _only(shape, _statements(tree, _block(shape)))
            _put(statement, [])
        case ast.BoolOp(values=[_, _] as values) as both:
            (left,) = [value for value in values if value is not found.node]
            _exchange(tree, both, left)
        case ast.BoolOp() | ast.Call() | ast.Tuple() | ast.List() | ast.Set() if found.field in {
            "values",
            "args",
            "elts",
        }:
            _put(found, [])
        case owner:
            kind = type(owner).__name__
            raise ShapeError(f"{shape!r} is part of a {kind} and cannot be dropped alone")
    return tree


def alike(one: str, other: str) -> bool:
    """Whether two snippets are the same, formatting aside."""
    return [ast.dump(node) for node in _block(one)] == [ast.dump(node) for node in _block(other)]


def replace_text(tree: Tree, text: str, by: str) -> Tree:
    """A copy of ``tree`` in which the one ``text`` within its strings (of SQL) is ``by``;
    whitespace is any whitespace."""
    pattern = re.compile(r"\s+".join(map(re.escape, text.split())))
    tree = copy.deepcopy(tree)
    strings = [
        (node, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    total = sum(len(pattern.findall(value)) for _, value in strings)
    if total != 1:
        raise ShapeError(f"{text!r} is found {total} times in the strings of")
    for node, value in strings:
        node.value = pattern.sub(lambda _: by, value)
    return tree


def _drop_statements(tree: Tree, shape: str) -> Tree:
    match _block(shape):
        case [ast.If(orelse=[]) as branch]:
            found = _only(shape, _branches(tree, branch))
            _put(found, found.node.orelse)  # type: ignore[attr-defined]
        case pattern:
            found = _only(shape, [*_keywords(tree, shape), *_statements(tree, pattern)])
            _put(found, [])
    return tree


def _only(shape: str, every: Iterable[_Found]) -> _Found:
    found = list(every)
    if len(found) != 1:
        lines = [str(getattr(one.node, "lineno", "?")) for one in found]
        where = f" (lines {', '.join(lines)})" if lines else ""
        raise ShapeError(f"{shape!r} is found {len(found)} times{where} in")
    return found[0]


def _is_expression(text: str) -> bool:
    try:
        ast.parse(text.strip(), mode="eval")
    except SyntaxError:
        return False
    return True


def _expression(text: str) -> ast.expr:
    return ast.parse(text.strip(), mode="eval").body


def _block(text: str) -> list[Any]:
    """Statements; or clauses of a ``try`` that begin with ``except``."""
    if text.lstrip().startswith("except"):
        (attempt,) = _parsed(f"try: pass\n{text.strip()}", text)
        assert isinstance(attempt, ast.Try)
        return list(attempt.handlers)
    return _parsed(text, text)


def _parsed(text: str, shape: str) -> list[ast.stmt]:
    try:
        return list(ast.parse(text).body)
    except SyntaxError as error:
        raise ShapeError(f"{shape!r} is no Python ({error.msg}), so it is not found in") from error


def _keyword(text: str) -> ast.keyword | None:
    """``name=value``, which is an argument as well as a statement."""
    match _block(text):
        case [ast.Assign(targets=[ast.Name(id=name)], value=value)]:
            return ast.keyword(arg=name, value=value)
    return None


# Finding


def _slots(tree: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """Each node below ``tree`` with where it is held."""
    for owner in ast.walk(tree):
        for field, value in ast.iter_fields(owner):
            if isinstance(value, list):
                for index, each in enumerate(value):
                    if isinstance(each, ast.AST):
                        yield owner, field, index, each
            elif isinstance(value, ast.AST):
                yield owner, field, None, value


def _expressions(tree: ast.AST, pattern: ast.expr) -> Iterator[_Found]:
    for owner, field, index, node in _slots(tree):
        if isinstance(node, ast.expr) and not isinstance(getattr(node, "ctx", None), _ASSIGNED):
            for captured in _matches(pattern, node):
                yield _Found(owner, field, index, 1, captured)
                break


def _keywords(tree: ast.AST, shape: str) -> Iterator[_Found]:
    pattern = _keyword(shape)
    for owner, field, index, node in _slots(tree):
        if pattern is not None and isinstance(node, ast.keyword):
            for captured in _matches(pattern, node):
                yield _Found(owner, field, index, 1, captured)
                break


def _branches(tree: ast.AST, pattern: ast.If) -> Iterator[_Found]:
    for owner, field, index, node in _slots(tree):
        if isinstance(node, ast.If):
            branch = ast.If(test=node.test, body=node.body, orelse=[])
            for captured in _matches(pattern, branch):
                yield _Found(owner, field, index, 1, captured)
                break


def _statements(tree: ast.AST, pattern: Sequence[ast.AST]) -> Iterator[_Found]:
    for owner in ast.walk(tree):
        for field in ("body", "orelse", "finalbody", "handlers"):
            held = getattr(owner, field, None)
            if not isinstance(held, list):
                continue
            for index in range(len(held)):
                for count, captured in _runs(pattern, held[index:], ()):
                    yield _Found(owner, field, index, count, captured)
                    break


# Matching


def _matches(pattern: Any, node: Any, captured: Captured = ()) -> Iterator[Captured]:
    """What the wildcards of ``pattern`` stand for, in each way in which it is ``node``."""
    if _is_wild(pattern) and isinstance(node, ast.AST):
        yield (*captured, node)
    elif isinstance(pattern, list) and isinstance(node, list):
        for count, more in _runs(pattern, node, captured):
            if count == len(node):
                yield more
    elif not isinstance(pattern, ast.AST) or not isinstance(node, ast.AST):
        if type(pattern) is type(node) and pattern == node:
            yield captured
    elif isinstance(pattern, ast.Call) and isinstance(node, ast.Call) and _takes_all(pattern):
        for more in _matches(pattern.func, node.func, captured):
            yield from _matches(pattern.args, [*node.args, *node.keywords], more)
    elif type(pattern) is type(node):
        fields = [name for name in pattern._fields if name not in _IGNORED]
        yield from _fields(pattern, node, fields, captured)


def _takes_all(pattern: ast.Call) -> bool:
    """``f(a, ...)``: keywords too."""
    return bool(pattern.args) and _is_wild(pattern.args[-1]) and not pattern.keywords


def _fields(
    pattern: ast.AST, node: ast.AST, names: Sequence[str], captured: Captured
) -> Iterator[Captured]:
    if not names:
        yield captured
        return
    first, *rest = names
    ours, theirs = getattr(pattern, first, None), getattr(node, first, None)
    for more in _matches(ours, theirs, captured):
        yield from _fields(pattern, node, rest, more)


def _runs(
    pattern: Sequence[Any], nodes: Sequence[Any], captured: Captured
) -> Iterator[tuple[int, Captured]]:
    """How many of the first ``nodes`` a list of patterns is, in each way."""
    if not pattern:
        yield 0, captured
        return
    first, rest = pattern[0], pattern[1:]
    if _is_wild(first):
        for taken in range(len(nodes) + 1):
            for count, more in _runs(rest, nodes[taken:], (*captured, list(nodes[:taken]))):
                yield taken + count, more
    elif nodes:
        for one in _matches(first, nodes[0], captured):
            for count, more in _runs(rest, nodes[1:], one):
                yield 1 + count, more


def _is_wild(pattern: Any) -> bool:
    if isinstance(pattern, ast.Expr):
        pattern = pattern.value
    return isinstance(pattern, ast.Constant) and pattern.value is ...


# Changing


def _put(found: _Found, nodes: Sequence[Any]) -> None:
    held = getattr(found.owner, found.field)
    if found.index is None:
        (node,) = nodes
        setattr(found.owner, found.field, node)
        return
    held[found.index : found.index + found.count] = nodes
    if not held and found.field == "body":
        held.append(ast.Pass())


def _exchange(tree: ast.AST, old: ast.AST, new: ast.AST) -> None:
    for owner, field, index, node in _slots(tree):
        if node is old:
            _put(_Found(owner, field, index, 1, ()), [new])
            return


def _filled(template: Any, captured: list[Any]) -> Any:
    """``template`` with what was captured in place of its wildcards, in their order."""
    if captured and _is_wild(template):
        found = captured.pop(0)
        if isinstance(found, list):
            if len(found) != 1:
                raise ShapeError("'...' stood for several, which do not fit in one place, in")
            (found,) = found
        return found
    if isinstance(template, list):
        return _filled_list(template, captured)
    if isinstance(template, ast.AST):
        for name, value in ast.iter_fields(template):
            setattr(template, name, _filled(value, captured))
        if isinstance(template, ast.Call):
            keywords = [one for one in template.args if isinstance(one, ast.keyword)]
            template.args = [one for one in template.args if one not in keywords]
            template.keywords += keywords
    return template


def _filled_list(templates: Sequence[Any], captured: list[Any]) -> list[Any]:
    filled: list[Any] = []
    for template in templates:
        if captured and _is_wild(template):
            found = captured.pop(0)
            filled += found if isinstance(found, list) else [found]
        else:
            filled.append(_filled(template, captured))
    return filled
