"""Writes the files ind.toy.* next to this script: a small citation network as Python 2 wrote them.

Python 3 cannot write strings as Python 2 did, so that the instructions are written one by one.
With --check, Python's own reader loads the files again (this needs numpy and scipy).
"""

import pathlib
import pickle
import struct
import sys

FOLDER = pathlib.Path(__file__).parent
WIDTH, CLASSES, TRAIN, KNOWN = 5, 3, 6, 512
TEST = [520, 512, 521, 514, 513, 519, 517, 516]  # 515 and 518 are in no file but the graph's
NODES = 522


class Writer:
    """Instructions of protocol 2, with a memory entry after every object as Python 2 made it."""

    def __init__(self):
        self.out, self.keys = bytearray(b"\x80\x02"), 0

    def put(self):
        if self.keys < 256:
            self.out += b"q" + bytes([self.keys])
        else:
            self.out += b"r" + struct.pack("<I", self.keys)
        self.keys += 1

    def name(self, module, name):
        self.out += f"c{module}\n{name}\n".encode()
        self.put()

    def string(self, value):
        size = len(value)
        self.out += (b"U" + bytes([size]) if size < 256 else b"T" + struct.pack("<i", size)) + value
        self.put()

    def integer(self, value):
        if 0 <= value < 256:
            self.out += b"K" + bytes([value])
        elif 0 <= value < 65536:
            self.out += b"M" + struct.pack("<H", value)
        else:
            self.out += b"J" + struct.pack("<i", value)

    def bool(self, value):
        self.out += b"\x88" if value else b"\x89"

    def tuple(self, *writes):
        if len(writes) == 0:
            self.out += b")"
            return
        if len(writes) > 3:
            self.out += b"("
        for write in writes:
            write()
        self.out += {1: b"\x85", 2: b"\x86", 3: b"\x87"}.get(len(writes), b"t")
        self.put()

    def int_tuple(self, *values):
        self.tuple(*[lambda value=value: self.integer(value) for value in values])

    def dtype(self, kind):
        self.name("numpy", "dtype")
        self.tuple(lambda: self.string(kind), lambda: self.integer(0), lambda: self.integer(1))
        self.out += b"R"
        self.put()
        none = lambda: self.out.extend(b"N")
        self.tuple(
            lambda: self.integer(3), lambda: self.string(b"<"), none, none, none,
            lambda: self.integer(-1), lambda: self.integer(-1), lambda: self.integer(0),
        )
        self.out += b"b"

    def array(self, kind, shape, values):
        self.name("numpy.core.multiarray", "_reconstruct")
        self.tuple(
            lambda: self.name("numpy", "ndarray"),
            lambda: self.int_tuple(0),
            lambda: self.string(b"b"),
        )
        self.out += b"R"
        self.put()
        data = struct.pack(f"<{len(values)}{'f' if kind == b'f4' else 'i'}", *values)
        self.tuple(
            lambda: self.integer(1), lambda: self.int_tuple(*shape), lambda: self.dtype(kind),
            lambda: self.bool(False), lambda: self.string(data),
        )
        self.out += b"b"

    def csr(self, rows):
        indptr, indices = [0], []
        for row in rows:
            indices += row
            indptr.append(len(indices))
        self.name("scipy.sparse.csr", "csr_matrix")
        self.tuple()
        self.out += b"\x81"
        self.put()
        self.out += b"}"
        self.put()
        self.out += b"("
        fields = [
            (b"_shape", lambda: self.int_tuple(len(rows), WIDTH)),
            (b"maxprint", lambda: self.integer(50)),
            (b"indices", lambda: self.array(b"i4", [len(indices)], indices)),
            (b"indptr", lambda: self.array(b"i4", [len(indptr)], indptr)),
            (b"format", lambda: self.string(b"csr")),
            (b"data", lambda: self.array(b"f4", [len(indices)], [1.0] * len(indices))),
            (b"_has_sorted_indices", lambda: self.bool(False)),
        ]
        for key, value in fields:
            self.string(key)
            value()
        self.out += b"ub"

    def graph(self, lists):
        self.name("collections", "defaultdict")
        self.tuple(lambda: self.name("__builtin__", "list"))
        self.out += b"R"
        self.put()
        self.out += b"("
        for node, neighbors in lists.items():
            self.integer(node)
            self.out += b"]"
            self.put()
            if len(neighbors) == 1:
                self.integer(neighbors[0])
                self.out += b"a"
            elif neighbors:
                self.out += b"("
                for neighbor in neighbors:
                    self.integer(neighbor)
                self.out += b"e"
        self.out += b"u"

    def done(self):
        return bytes(self.out + b".")


def words(node):
    """Columns of a node's row, not sorted; one node has no word."""
    return [] if node == 7 else [(3 * node + 1) % WIDTH, (3 * node + 3) % WIDTH]


def one_hot(nodes):
    return [int(node % CLASSES == column) for node in nodes for column in range(CLASSES)]


def neighbors(node):
    """A path with an edge that is listed twice, a self loop, and a node without neighbors."""
    near = [other for other in (node - 1, node + 1) if 0 <= other < NODES - 1]
    if node == NODES - 1:
        return []
    return near + ([node] if node == 9 else []) + ([near[-1]] if node == 20 else [])


def main():
    parts = {"": range(TRAIN), "all": range(KNOWN), "t": TEST}
    for part, nodes in parts.items():
        features, labels = Writer(), Writer()
        features.csr([words(node) for node in nodes])
        labels.array(b"i4", [len(nodes), CLASSES], one_hot(nodes))
        name_x, name_y = (f"{part}x", f"{part}y")
        (FOLDER / f"ind.toy.{name_x}").write_bytes(features.done())
        (FOLDER / f"ind.toy.{name_y}").write_bytes(labels.done())
    graph = Writer()
    graph.graph({node: neighbors(node) for node in range(NODES)})
    (FOLDER / "ind.toy.graph").write_bytes(graph.done())
    (FOLDER / "ind.toy.test.index").write_text("".join(f"{node}\n" for node in TEST))


def check():
    load = lambda name: pickle.loads((FOLDER / f"ind.toy.{name}").read_bytes(), encoding="latin1")
    assert load("allx").toarray().sum() == 2 * (KNOWN - 1)
    assert load("ty").argmax(1).tolist() == [node % CLASSES for node in TEST]
    assert load("graph")[20] == [19, 21, 21]


if __name__ == "__main__":
    main()
    if "--check" in sys.argv:
        check()
