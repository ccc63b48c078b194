"""Walks torch's autograd graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from torch import Tensor
from torch.autograd.graph import Node, get_gradient_edge

# A tensor in another shape, or a copy: its features are still the same, in the same order.
SAME = {"ViewBackward0", "UnsafeViewBackward0", "ReshapeAliasBackward0", "AliasBackward0", "CloneBackward0"} | {
    f"{name}Backward{i}" for name in ("Squeeze", "Unsqueeze") for i in range(3)
}

Origin = tuple[Node, int]  # what made a tensor, and as which of its outputs: the same for all views of its shape


class _Ways:
    """By which ways the loss's gradient comes to each node of autograd's graph: the graph's dominators."""

    def __init__(self, root: Node) -> None:
        self._above = {root: root}  # the nearest node that all ways lead through
        self._depth = {root: 0}
        for node in _by_use(root):
            self._depth[node] = self._depth[self._above[node]] + 1
            for child in _children(node):
                self._above[child] = self._meet(self._above[child], node) if child in self._above else node

    def _meet(self, a: Node, b: Node) -> Node:
        while a is not b:
            if self._depth[a] < self._depth[b]:
                a, b = b, a
            a = self._above[a]
        return a

    def all_lead(self, to: Node, through: Node) -> bool:
        """Whether every way to one node leads through another."""
        if to not in self._depth or through not in self._depth:
            return False
        while self._depth[to] > self._depth[through]:
            to = self._above[to]
        return to is through


def _by_use(root: Node) -> Iterator[Node]:
    """Each node after all that use it."""
    waiting, seen, stack = Counter[Node](), {root}, [root]
    while stack:
        for child in _children(stack.pop()):
            waiting[child] += 1
            if child not in seen:
                seen.add(child)
                stack.append(child)
    ready = [root]
    while ready:
        node = ready.pop()
        yield node
        for child in _children(node):
            waiting[child] -= 1
            if not waiting[child]:
                ready.append(child)


def _children(node: Node) -> list[Node]:
    return [child for child, _ in node.next_functions if child is not None]


def _origin(tensor: Tensor | None) -> Origin | None:
    """What made a tensor, through views and copies; None where autograd does not know it."""
    if tensor is None or not tensor.requires_grad:
        return None
    edge = get_gradient_edge(tensor)
    return _through_views(edge.node, edge.output_nr)


def _through_views(node: Node, output: int) -> Origin:
    while node.name() in SAME and node.next_functions[0][0] is not None:
        node, output = node.next_functions[0]  # type: ignore[assignment]
    return node, output
