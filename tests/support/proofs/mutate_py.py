"""Mutants of Python text: one operator, shift, rounding, constant or bound changed in each."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator

from tests.support.proofs.mutate_c import Mutant

_COMPARE = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
}
_COMPARE |= {ast.Is: ast.IsNot, ast.IsNot: ast.Is}
_ARITHMETIC = {
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.LShift: ast.RShift, ast.RShift: ast.LShift},
    **{ast.FloorDiv: ast.Mod, ast.Mod: ast.FloorDiv, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd},
    **{ast.Mult: ast.Add, ast.Pow: ast.Mult, ast.Div: ast.Mult},
}
_NAMES = {
    "min": "max",
    "max": "min",
    "minimum": "maximum",
    "maximum": "minimum",
    "round": "int",
    "rint": "floor",
}
_SHIFTS = (ast.LShift, ast.RShift)


def mutants(file: str, text: str, skip: frozenset[str] = frozenset()) -> Iterator[tuple[Mutant, ast.Module]]:
    """Each mutant of a module, with its tree (valid until the next one); leaves functions of `skip` alone."""
    tree = ast.parse(text)
    lines = [line.strip() for line in text.splitlines()]
    seen: Counter[str] = Counter()
    occurrences = []
    for line in lines:
        occurrences.append(seen[line])
        seen[line] += 1
    for node in list(_nodes(tree, skip)):
        for change, undo in _changes(node):
            at = node.lineno - 1
            old = (ast.get_source_segment(text, node) or "").splitlines()[0]
            change()
            ast.fix_missing_locations(tree)
            indent = len(text.splitlines()[at]) - len(text.splitlines()[at].lstrip())
            yield (
                Mutant(file, lines[at], occurrences[at], node.col_offset - indent, old, ast.unparse(node)),
                tree,
            )
            undo()


def _nodes(tree: ast.AST, skip: frozenset[str]) -> Iterator[ast.expr | ast.stmt]:
    """Code below `tree`, without documentation, annotations and functions of `skip`."""
    for child in ast.iter_child_nodes(tree):
        name = getattr(child, "name", "")
        if name in skip or (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)):
            continue
        if isinstance(child, ast.FunctionDef | ast.ClassDef):
            yield from _nodes(ast.Module(child.body, []), skip)  # no decorators, no defaults
        elif not isinstance(child, ast.AnnAssign):
            yield from _under(child, skip)
        elif child.value is not None:
            yield from _under(child.value, skip)


def _under(node: ast.AST, skip: frozenset[str]) -> Iterator[ast.expr | ast.stmt]:
    if isinstance(node, ast.expr | ast.stmt):
        yield node
    if not isinstance(node, ast.JoinedStr):
        yield from _nodes(node, skip)


Change = tuple[Callable[[], None], Callable[[], None]]


def _changes(node: ast.expr | ast.stmt) -> Iterator[Change]:
    """Pairs that change the node and put it back."""
    if isinstance(node, ast.Compare):
        for i, operator in enumerate(node.ops):
            if type(operator) in _COMPARE:
                yield _swap(node.ops, i, _COMPARE[type(operator)]())
    elif isinstance(node, ast.BinOp | ast.AugAssign):
        operator = node.op
        if type(operator) in _ARITHMETIC:
            yield _set(node, "op", _ARITHMETIC[type(operator)]())
        longer = isinstance(node, ast.BinOp) and isinstance(operator, _SHIFTS)
        if longer and not isinstance(node.right, ast.Constant):
            yield _set(node, "right", ast.BinOp(node.right, ast.Add(), ast.Constant(1)))
    elif isinstance(node, ast.BoolOp):
        yield _set(node, "op", ast.Or() if isinstance(node.op, ast.And) else ast.And())
    elif isinstance(node, ast.UnaryOp):
        yield _set(node, "operand", ast.UnaryOp(node.op, node.operand))  # twice is not at all
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float, bool):
        steps = (1, -1) if not isinstance(node.value, bool) else (not node.value,)
        for step in steps:
            yield _set(node, "value", step if isinstance(node.value, bool) else node.value + step)
    elif isinstance(node, ast.Name) and node.id in _NAMES:
        yield _set(node, "id", _NAMES[node.id])
    elif isinstance(node, ast.Attribute) and node.attr in _NAMES:
        yield _set(node, "attr", _NAMES[node.attr])


def _set(node: ast.AST, field: str, value: object) -> Change:
    old = getattr(node, field)
    return (lambda: setattr(node, field, value), lambda: setattr(node, field, old))


def _swap(items: list[ast.cmpop], index: int, value: ast.cmpop) -> Change:
    old = items[index]
    return (lambda: items.__setitem__(index, value), lambda: items.__setitem__(index, old))
