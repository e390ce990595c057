"""Time-then-graph in PyTorch, on the graphs of benches/temporal.rs."""

import torch
import torch.nn.functional as F

HIDDEN = 16


def pems():
    """Features [steps, nodes, inputs], entries and weights of a batch."""
    nodes, steps, inputs, batch = 170, 12, 5, 128
    entries = set()
    for i in range(nodes):
        for by in (1, 23 + i % 7):
            j = (i + by) % nodes
            entries |= {(i, j), (j, i)}
    one = torch.tensor(sorted(entries)).T
    weights = (0.2 + torch.arange(one.shape[1]) % 5 * 0.1).repeat(batch)
    entries = torch.cat([one + nodes * window for window in range(batch)], dim=1)
    x = torch.sin(torch.arange(nodes * steps * inputs) * 0.7311).reshape(nodes, steps, inputs)
    return x.repeat(batch, 1, 1).transpose(0, 1).contiguous(), entries, weights, None


def dyncsl():
    nodes, steps, inputs, batch = 19, 8, 1, 10
    entries, sequences = [], []
    for window in range(batch):
        present = {}
        for step in range(steps):
            skip = 2 + (window + step * (window % 4)) % 8
            for i in range(nodes):
                for by in (0, 1, nodes - 1, skip, nodes - skip):
                    present.setdefault((i, (i + by) % nodes), set()).add(step)
        for (i, j), at in sorted(present.items()):
            entries.append((i + nodes * window, j + nodes * window))
            sequences.append([1.0 if step in at else -1.0 for step in range(steps)])
    x = torch.sin(torch.arange(nodes * steps * inputs) * 0.7311).reshape(nodes, steps, inputs)
    x = x.repeat(batch, 1, 1).transpose(0, 1).contiguous()
    return x, torch.tensor(entries).T, None, torch.tensor(sequences).T.unsqueeze(2).contiguous()


class TimeThenGraph(torch.nn.Module):
    """GRU over nodes and entries, then two convolutions; symmetric for constant weights, else sums."""

    def __init__(self, inputs, nodes, entries, weights):
        super().__init__()
        self.node = torch.nn.GRU(inputs, HIDDEN)
        self.first = torch.nn.Linear(HIDDEN, HIDDEN)
        self.second = torch.nn.Linear(HIDDEN, HIDDEN)
        self.head = torch.nn.Sequential(
            torch.nn.Linear(2 * HIDDEN, HIDDEN),
            torch.nn.Softplus() if weights is not None else torch.nn.Tanh(),
            torch.nn.Linear(HIDDEN, 3),
        )
        self.nodes, self.values = nodes, None
        source, target = entries
        if weights is not None:
            # The operator is made once, as on the other side.
            loop = torch.arange(nodes)
            source, target = torch.cat([source, loop]), torch.cat([target, loop])
            weights = torch.cat([weights, torch.ones(nodes)])
            root = torch.zeros(nodes).index_add(0, target, weights).rsqrt()
            self.values = (root[source] * weights * root[target]).unsqueeze(1)
        else:
            self.edge = torch.nn.GRU(1, HIDDEN)
        self.source, self.target = source, target

    def gather(self, values, x):
        messages = values * x[self.source]
        return torch.zeros_like(x).index_add(0, self.target, messages)

    def forward(self, x, sequences):
        if sequences is None:
            code = F.softplus(self.node(x)[1][0])
            y = self.gather(self.values, code @ self.first.weight.T) + self.first.bias
            y = self.gather(self.values, F.softplus(y) @ self.second.weight.T) + self.second.bias
        else:
            code = torch.tanh(self.node(x)[1][0])
            weights = self.edge(sequences)[1][0].mean(dim=1, keepdim=True)
            y = self.gather(weights, self.second(self.gather(weights, self.first(code))))
        return torch.cat([y, code], dim=1)


def network(data):
    torch.manual_seed(0)
    x, entries, weights, sequences = data()
    return x, sequences, TimeThenGraph(x.shape[2], x.shape[1], entries, weights)


def training(data):
    x, sequences, model = network(data)
    act = torch.tanh if sequences is not None else F.softplus
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    target = torch.cos(torch.arange(x.shape[1] * 3) * 0.37).reshape(-1, 3)

    def step():
        optimizer.zero_grad()
        F.mse_loss(model.head(act(model(x, sequences))), target).backward()
        optimizer.step()

    return step


def forward_pems():
    x, sequences, model = network(pems)

    @torch.no_grad()
    def run():
        model(x, sequences)

    return run


def recurrent_pems():
    """GRU whose gates are two Chebyshev convolutions of order 2 on the snapshot; the operator is made once."""
    torch.manual_seed(0)
    x, (source, target), weights, _ = pems()
    steps, nodes, inputs = x.shape
    out = torch.zeros(nodes).index_add(0, source, weights).rsqrt()
    values = -(out[source] * weights * out[target]).unsqueeze(1)

    class Gate(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Linear(2 * (inputs + HIDDEN), HIDDEN)
            self.second = torch.nn.Linear(2 * HIDDEN, HIDDEN)

        def convolve(self, layer, h):
            gathered = torch.zeros_like(h).index_add(0, target, values * h[source])
            return layer(torch.cat([h, gathered], dim=1))

        def forward(self, h):
            return self.convolve(self.second, F.softplus(self.convolve(self.first, h)))

    reset, update, candidate = Gate(), Gate(), Gate()

    @torch.no_grad()
    def run():
        h = torch.zeros(nodes, HIDDEN)
        for step in range(steps):
            both = torch.cat([x[step], h], dim=1)
            r, u = torch.sigmoid(reset(both)), torch.sigmoid(update(both))
            c = torch.tanh(candidate(torch.cat([x[step], r * h], dim=1)))
            h = u * h + (1 - u) * c

    return run


CASES = {
    "temporal_training_pems": lambda: training(pems),
    "temporal_training_dyncsl": lambda: training(dyncsl),
    "temporal_forward_pems": forward_pems,
    "temporal_recurrent_pems": recurrent_pems,
}
