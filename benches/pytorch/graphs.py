"""Graph networks in torch_geometric, on the graphs of benches/graphs.rs."""

import functools
import warnings

import torch
import torch.nn.functional as F

SIZES = {
    "cora": (2708, 5278, 1433, 49216, 7),
    "pubmed": (19717, 44324, 500, 988031, 3),
}
TRAINING = 140


def recipe(state):
    """Upper bits of a linear congruence, below a bound."""

    def below(bound):
        nonlocal state
        state = (state * 1103515245 + 12345) % (1 << 31)
        return (state >> 8) % bound

    return below


@functools.cache
def data(name):
    """Entries, dense features, training nodes and their labels."""
    nodes, edges, columns, stored, classes = SIZES[name]
    below, seen, entries = recipe(1), set(), []
    while len(seen) < edges:
        a = below(nodes)
        b = below(nodes) * below(nodes) // nodes
        pair = (min(a, b), max(a, b))
        if a != b and pair not in seen:
            seen.add(pair)
            entries += [(a, b), (b, a)]
    below, x = recipe(2), torch.zeros(nodes, columns)
    for node in range(nodes):
        count = stored // nodes + (node < stored % nodes)
        chosen = set()
        while len(chosen) < count:
            chosen.add(below(columns))
        x[node, list(chosen)] = 1.0 / count
    train = torch.arange(TRAINING) * 17 % nodes
    return torch.tensor(entries).T.contiguous(), x, train, train % classes


def network(kind, name):
    from torch_geometric.nn import GATConv, GCNConv

    _, _, columns, _, classes = SIZES[name]

    class Gcn(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = GCNConv(columns, 16, cached=True)
            self.second = GCNConv(16, classes, cached=True)

        def forward(self, x, entries):
            x = F.dropout(x, 0.5, self.training)
            x = F.dropout(F.relu(self.first(x, entries)), 0.5, self.training)
            return self.second(x, entries)

    class Gat(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = GATConv(columns, 8, heads=8, dropout=0.6)
            self.second = GATConv(64, classes, heads=1, concat=False, dropout=0.6)

        def forward(self, x, entries):
            x = F.dropout(x, 0.6, self.training)
            x = F.dropout(F.elu(self.first(x, entries)), 0.6, self.training)
            return self.second(x, entries)

    return {"gcn": Gcn, "gat": Gat}[kind]()


def epoch(kind, name):
    torch.manual_seed(0)
    entries, x, train, labels = data(name)
    model = network(kind, name)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x, entries)[train], labels).backward()
        optimizer.step()

    return step


def forward(kind, name):
    torch.manual_seed(0)
    entries, x, _, _ = data(name)
    model = network(kind, name).eval()

    @torch.no_grad()
    def run():
        model(x, entries)

    return run


def product(name, columns):
    from torch_geometric.nn.conv.gcn_conv import gcn_norm

    entries, _, _, _ = data(name)
    nodes = SIZES[name][0]
    entries, values = gcn_norm(entries, num_nodes=nodes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        matrix = torch.sparse_coo_tensor(entries.flip(0), values, (nodes, nodes)).to_sparse_csr()
    x = torch.sin(torch.arange(nodes * columns) * 0.7311).reshape(nodes, columns)

    @torch.no_grad()
    def run():
        torch.sparse.mm(matrix, x)

    return run


CASES = {}
for name in SIZES:
    CASES[f"graph_product_{name}"] = functools.partial(product, name)
    for kind in ["gcn", "gat"]:
        CASES[f"graph_{kind}_epoch_{name}"] = functools.partial(epoch, kind, name)
        CASES[f"graph_{kind}_forward_{name}"] = functools.partial(forward, kind, name)
