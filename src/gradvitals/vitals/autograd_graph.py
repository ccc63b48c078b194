"""Dominators and views in torch's autograd graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from torch import Tensor
from torch.autograd.graph import Node, get_gradient_edge

# Operations that keep the features and their order: views and copies.
VIEWS = {"ViewBackward0", "UnsafeViewBackward0", "ReshapeAliasBackward0", "AliasBackward0", "CloneBackward0"} | {
    f"{name}Backward{i}" for name in ("Squeeze", "Unsqueeze") for i in range(3)
}

Origin = tuple[Node, int]  # the node that made a tensor, and the number of its output; the same for all views


class Dominators:
    """The dominator tree of the autograd graph of a loss: which nodes the gradient of another must pass."""

    def __init__(self, root: Node) -> None:
        self._parent = {root: root}  # the nearest dominator
        self._depth = {root: 0}
        for node in _topological_order(root):
            self._depth[node] = self._depth[self._parent[node]] + 1
            for child in _children(node):
                self._parent[child] = self._meet(self._parent[child], node) if child in self._parent else node

    def _meet(self, a: Node, b: Node) -> Node:
        while a is not b:
            if self._depth[a] < self._depth[b]:
                a, b = b, a
            a = self._parent[a]
        return a

    def dominates(self, node: Node, other: Node) -> bool:
        """Returns whether every path from the loss to ``other`` passes ``node``."""
        if other not in self._depth or node not in self._depth:
            return False
        while self._depth[other] > self._depth[node]:
            other = self._parent[other]
        return other is node


def _topological_order(root: Node) -> Iterator[Node]:
    num_users, seen, stack = Counter[Node](), {root}, [root]
    while stack:
        for child in _children(stack.pop()):
            num_users[child] += 1
            if child not in seen:
                seen.add(child)
                stack.append(child)
    ready = [root]
    while ready:
        node = ready.pop()
        yield node
        for child in _children(node):
            num_users[child] -= 1
            if not num_users[child]:
                ready.append(child)


def users_of(root: Node) -> dict[Node, list[Node]]:
    """Returns, for each node of the graph of a loss, the nodes that use it."""
    users: dict[Node, list[Node]] = {root: []}
    for node in _topological_order(root):
        for child in _children(node):
            users.setdefault(child, []).append(node)
    return users


def _children(node: Node) -> list[Node]:
    return [child for child, _ in node.next_functions if child is not None]


def origin(tensor: Tensor | None) -> Origin | None:
    """Returns what made a tensor, looking through views and copies; None for tensors without a gradient."""
    if tensor is None or not tensor.requires_grad:
        return None
    edge = get_gradient_edge(tensor)
    return through_views(edge.node, edge.output_nr)


def through_views(node: Node, output: int) -> Origin:
    """Returns what made the tensor of which an output is a view or copy."""
    while node.name() in VIEWS and node.next_functions[0][0] is not None:
        node, output = node.next_functions[0]  # type: ignore[assignment]
    return node, output
