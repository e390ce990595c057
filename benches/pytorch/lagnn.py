"""Local augmentation on a graph of Cora's size: an epoch of LA-GCN, and a step of the generator."""

import torch
import torch.nn.functional as F

NODES, FEATURES, EDGES, CLASSES = 2708, 1433, 5278, 7
HIDDEN, SAMPLES, LATENT, WIDTH = 8, 4, 10, 256


def graph():
    generator = torch.Generator().manual_seed(0)
    ends = torch.randint(NODES, (2, EDGES), generator=generator)
    loops = torch.arange(NODES).repeat(2, 1)
    entries = torch.cat([ends, ends.flip(0), loops], dim=1)
    values = torch.ones(entries.shape[1])
    adjacency = torch.sparse_coo_tensor(entries, values, (NODES, NODES)).coalesce()
    degree = torch.sparse.sum(adjacency, dim=1).to_dense()
    root = degree.rsqrt()
    row, column = adjacency.indices()
    values = root[row] * adjacency.values() * root[column]
    adjacency = torch.sparse_coo_tensor(adjacency.indices(), values, (NODES, NODES))
    raw = (torch.rand(NODES, FEATURES, generator=generator) < 18 / FEATURES).float()
    return adjacency.to_sparse_csr(), raw, entries


class Cvae(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.Linear(2 * FEATURES, WIDTH)
        self.mean = torch.nn.Linear(WIDTH, LATENT)
        self.log_variance = torch.nn.Linear(WIDTH, LATENT)
        self.decoder = torch.nn.Linear(LATENT + FEATURES, WIDTH)
        self.output = torch.nn.Linear(WIDTH, FEATURES)

    def decode(self, latent, centers):
        hidden = F.relu(self.decoder(torch.cat([latent, centers], dim=1)))
        return torch.sigmoid(self.output(hidden))

    def forward(self, neighbors, centers):
        hidden = F.relu(self.encoder(torch.cat([neighbors, centers], dim=1)))
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        latent = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        output = self.decode(latent, centers)
        reconstruction = F.binary_cross_entropy(output, neighbors, reduction="sum")
        divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum()
        return (reconstruction + divergence) / len(neighbors)


class LaGcn(torch.nn.Module):
    def __init__(self):
        super().__init__()
        layer = lambda i, o: torch.nn.Parameter(torch.randn(i, o) * (2 / (i + o)) ** 0.5)
        self.weights = torch.nn.ParameterList([layer(FEATURES, HIDDEN) for _ in range(2)])
        self.biases = torch.nn.ParameterList([torch.zeros(HIDDEN) for _ in range(2)])
        self.weight = layer(2 * HIDDEN, CLASSES)
        self.bias = torch.nn.Parameter(torch.zeros(CLASSES))

    def forward(self, adjacency, inputs):
        hidden = [
            F.relu(adjacency @ (F.dropout(x, 0.5, self.training) @ w) + b)
            for x, w, b in zip(inputs, self.weights, self.biases)
        ]
        hidden = F.dropout(torch.cat(hidden, dim=1), 0.5, self.training)
        return F.log_softmax(adjacency @ (hidden @ self.weight) + self.bias, dim=1)


def lagcn_epoch(pool):
    adjacency, raw, _ = graph()
    real = raw / raw.sum(dim=1, keepdim=True).clamp_min(1)
    cvae, model = Cvae().eval(), LaGcn()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
    train = torch.arange(140)
    labels = train % CLASSES

    @torch.no_grad()
    def generate():
        matrix = cvae.decode(torch.randn(NODES, LATENT), raw)
        return matrix / matrix.sum(dim=1, keepdim=True)

    matrices = [generate() for _ in range(pool)]
    draw = (lambda: matrices[torch.randint(pool, (1,)).item()]) if pool else generate

    def run():
        model.train()
        optimizer.zero_grad()
        outputs = [model(adjacency, [draw(), real]) for _ in range(SAMPLES)]
        loss = sum(F.nll_loss(output[train], labels) for output in outputs) / SAMPLES
        probabilities = [output.exp() for output in outputs]
        mean = sum(probabilities) / SAMPLES
        sharp = mean.pow(2)
        target = (sharp / sharp.sum(dim=1, keepdim=True)).detach()
        for probability in probabilities:
            loss = loss + (probability - target).pow(2).sum(dim=1).mean() / SAMPLES
        loss.backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            model(adjacency, [draw(), real])

    return run


def cvae_step():
    _, raw, entries = graph()
    cvae = Cvae()
    optimizer = torch.optim.Adam(cvae.parameters(), lr=0.01)
    batches = entries[:, : 2 * EDGES].T[torch.randperm(2 * EDGES)].split(64)[:-1]
    state = {"step": 0}

    def run():
        batch = batches[state["step"] % len(batches)]
        state["step"] += 1
        optimizer.zero_grad()
        cvae(raw[batch[:, 1]], raw[batch[:, 0]]).backward()
        optimizer.step()

    return run


CASES = {f.__name__: f for f in (lagcn_epoch, cvae_step)}
