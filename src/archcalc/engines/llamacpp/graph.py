"""llama.cpp's graph of one micro-batch, and the buffer that ggml's allocator reserves for it.

Tensors are allocated in the order of the graph's nodes, best fit among the blocks that are free, and freed after the last node that
reads them; an operation that can works in its input's place. So what is alive at once and what lies between decides, not the sum.
Only sizes matter here: weights and caches lie in buffers of their own.

Sources: llama.cpp 0c1e57098, ggml/src/ggml-alloc.c (`ggml_gallocr_alloc_graph_impl`, `ggml_dyn_tallocr_alloc`), ggml/src/ggml-backend.cpp
(`ggml_backend_sched_split_graph`: inputs are copied to a GPU when the first node reads them), ggml/src/ggml.c
(`ggml_visit_parents_graph`).
"""

from __future__ import annotations

ALIGNMENT = 128
"""Bytes that CUDA's buffers align tensors to (ggml/src/ggml-cuda/ggml-cuda.cu `ggml_backend_cuda_buffer_type_get_alignment`)."""


class Node:
    """A tensor: its bytes, what it is made of, and whether it may take the place of an input of the same layout.

    `layout` tells tensors of the same type, shape and strides apart from others. `of` is the tensor that a view looks into.
    """

    __slots__ = ("allocated", "at", "children", "inplace", "kept", "layout", "of", "seen", "size", "sources", "views")

    def __init__(self, size: int, layout: object, sources: tuple[Node, ...], inplace: bool, of: Node | None) -> None:
        self.size, self.layout, self.sources, self.inplace, self.of = size, layout, sources, inplace, of
        self.children = self.views = 0
        self.at = -1
        self.allocated = self.seen = self.kept = False


class Graph:
    """Nodes in the order in which they are computed."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.first: list[Node] = []
        self.inputs: list[Node] = []

    def op(self, shape: tuple[int, ...], *sources: Node | None, inplace: bool = False, width: int = 4) -> Node:
        """A tensor of `shape`, elements of `width` bytes, computed of `sources`; weights are left out."""
        size = width
        for n in shape:
            size *= n
        return Node(size, (width, shape), tuple(s for s in sources if s is not None), inplace, None)

    def view(self, source: Node, shape: tuple[int, ...] = (), *more: Node | None) -> Node:
        """The same memory seen in another shape; `more` are others that have to be computed first."""
        others = tuple(s for s in more if s is not None)
        return Node(0, (4, shape), (source, *others), False, source.of or source)

    def keep(self, size: int) -> Node:
        """An input that is held from beginning to end."""
        made = Node(size, None, (), False, None)
        made.kept = made.seen = True
        self.first.append(made)
        return made

    def input(self, size: int) -> Node:
        """A copy of an input: it is there before the first node, and freed after the last that reads it."""
        made = Node(size, None, (), False, None)
        made.seen = True
        self.inputs.append(made)
        return made

    def expand(self, node: Node) -> None:
        """Puts a node behind all that it is made of, as far as that is not in the graph yet."""
        stack = [(node, 0)]
        while stack:
            top, i = stack.pop()
            if top.seen:
                continue
            while i < len(top.sources) and top.sources[i].seen:
                i += 1
            if i < len(top.sources):
                stack.append((top, i + 1))
                stack.append((top.sources[i], 0))
                continue
            top.seen = True
            self.nodes.append(top)

    def reserve(self) -> int:
        """The bytes of the buffer."""
        blocks = _Blocks()
        for node in (*self.first, *self.inputs):
            blocks.take(node)
        for node in self.nodes:
            if node.of is not None:
                node.of.views += 1
            for source in node.sources:
                source.children += 1
        for node in self.nodes:
            if node.of is None and not node.allocated:
                _allocate(node, blocks)
            for source in node.sources:
                source.children -= 1
                if source.children or source.views:
                    continue
                whole = source.of
                if whole is None:
                    blocks.give(source)
                    continue
                whole.views -= 1
                if not whole.views and not whole.children:
                    blocks.give(whole)
        return blocks.most


def _allocate(node: Node, blocks: _Blocks) -> None:
    node.allocated = True
    if node.inplace:
        for source in node.sources:
            # A view is not its own, so nothing takes its place.
            if source.allocated and source.children == 1 and not source.views and source.layout == node.layout and not source.kept:
                node.at = source.at
                source.allocated = False
                return
    blocks.take(node)


class _Blocks:
    """Free blocks by address; the last is without end."""

    def __init__(self) -> None:
        self.free: list[list[int]] = [[0, 1 << 62]]
        self.most = 0

    def take(self, node: Node) -> None:
        node.allocated = True
        size = -(-node.size // ALIGNMENT) * ALIGNMENT
        best = -1
        for i in range(len(self.free) - 1):
            if size <= self.free[i][1] and (best < 0 or self.free[i][1] <= self.free[best][1]):
                best = i
        block = self.free[best]
        node.at = block[0]
        block[0] += size
        block[1] -= size
        if not block[1]:
            self.free.remove(block)
        self.most = max(self.most, node.at + size)

    def give(self, node: Node) -> None:
        if not node.allocated or node.kept:
            return
        node.allocated = False
        at, size = node.at, -(-node.size // ALIGNMENT) * ALIGNMENT
        for i, block in enumerate(self.free):
            if block[0] + block[1] == at:
                block[1] += size
                if i + 1 < len(self.free) and self.free[i + 1][0] == block[0] + block[1]:
                    block[1] += self.free[i + 1][1]
                    del self.free[i + 1]
                return
            if at + size == block[0]:
                block[0], block[1] = at, block[1] + size
                if i and self.free[i - 1][0] + self.free[i - 1][1] == at:
                    self.free[i - 1][1] += block[1]
                    del self.free[i]
                return
        i = 0
        while i < len(self.free) and self.free[i][0] < at:
            i += 1
        self.free.insert(i, [at, size])
