"""Times PyTorch cases for `cargo bench`.

Requests on standard input, one a line: `hello`, or `time REPEATS CASE ARGUMENTS...`; the answer is
one line of seconds. The first request of a case builds it. Usage: worker.py THREADS
"""

import sys
import time

import torch
import torch.nn.functional as F

import adai
import deq
import efld
import graphs
import lagnn
import lipschitz
import losses
import momentum
import orthogonal
import residual_flow
import temporal

EPS = 1e-4


def sop_batch(batch, classes, samples):
    indices = (torch.arange(batch) * 389) % samples
    logits = torch.sin(torch.arange(batch * classes) * 0.7311).reshape(batch, classes)
    given = F.one_hot(indices % classes, classes).float()
    return indices, logits, given


def sop_published(batch, classes, samples):
    """u and v are dense parameters with plain SGD; autograd makes N x K gradients."""
    indices, logits, given = sop_batch(batch, classes, samples)
    u = torch.nn.Parameter(torch.randn(samples, 1) * 1e-8)
    v = torch.nn.Parameter(torch.randn(samples, classes) * 1e-8)
    optimizers = [torch.optim.SGD([u], lr=10.0), torch.optim.SGD([v], lr=10.0)]

    def step():
        z = logits.clone().requires_grad_()
        wrong = torch.clamp(u[indices] ** 2 * given, 0, 1)
        other = torch.clamp(v[indices] ** 2 * (1 - given), 0, 1)
        q = torch.clamp_min(F.softmax(z, dim=1) + wrong - other.detach(), EPS)
        r = torch.clamp(F.normalize(q, p=1, eps=EPS), EPS, 1.0)
        loss = -(given * torch.log(r)).sum(dim=1).mean()
        hard = torch.zeros_like(z).scatter_(1, z.argmax(dim=1, keepdim=True), 1.0)
        loss = loss + F.mse_loss(hard + wrong - other, given, reduction="sum") / batch
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()

    return step


def sop_closed(batch, classes, samples):
    """Closed-form gradients on the batch's rows, as in firebrick."""
    indices, logits, given = sop_batch(batch, classes, samples)
    u = torch.randn(samples, 1) * 1e-8
    v = torch.randn(samples, classes) * 1e-8

    @torch.no_grad()
    def closed(z):
        ui, vi = u[indices], v[indices]
        u2, v2 = ui * ui * given, vi * vi * (1 - given)
        wrong, other = u2.clamp(0, 1), v2.clamp(0, 1)
        p = F.softmax(z, dim=1)
        raw = p + wrong - other
        q = raw.clamp_min(EPS)
        total = q.sum(dim=1, keepdim=True)
        unit = q / total
        r = unit.clamp(EPS, 1.0)
        hard = torch.zeros_like(z).scatter_(1, z.argmax(dim=1, keepdim=True), 1.0)
        residual = hard + wrong - other - given
        loss = -(given * r.log()).sum() / batch + (residual * residual).sum() / batch
        g = (given / r).masked_fill((unit < EPS) | (unit > 1), 0.0) * (-1.0 / batch)
        g = (g - (g * q).sum(dim=1, keepdim=True) / total) / total
        g = g.masked_fill(raw < EPS, 0.0)
        error = residual * (2.0 / batch)
        grad_u = ((g + error) * given * (u2 <= 1)).sum(dim=1, keepdim=True) * ui * 2.0
        grad_v = error * (1 - given) * (v2 <= 1) * vi * -2.0
        grad_z = p * (g - (p * g).sum(dim=1, keepdim=True))
        u.index_add_(0, indices, grad_u, alpha=-10.0)
        v.index_add_(0, indices, grad_v, alpha=-10.0)
        return loss, grad_z

    def step():
        z = logits.clone().requires_grad_()
        loss, grad = closed(z.detach())
        z.backward(grad)

    return step


def small_cnn(batch):
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 32, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(32, 64, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(256, 128),
        torch.nn.ReLU(),
        torch.nn.Linear(128, 10),
    )
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    images = torch.sin(torch.arange(batch * 64) * 0.7311).reshape(batch, 1, 8, 8)
    labels = torch.arange(batch) % 10

    def step():
        optimizer.zero_grad()
        F.cross_entropy(network(images), labels).backward()
        optimizer.step()

    return step


CASES = {f.__name__: f for f in (sop_published, sop_closed, small_cnn)}
for topic in (
    adai, deq, efld, graphs, lagnn, lipschitz, losses, momentum, orthogonal, residual_flow,
    temporal,
):
    CASES |= topic.CASES


def main():
    torch.set_num_threads(int(sys.argv[1]))
    built = {}
    for line in sys.stdin:
        words = line.split()
        if words == ["hello"]:
            print("torch", torch.__version__, flush=True)
            continue
        _, repeats, name, *arguments = words
        key = (name, *arguments)
        if key not in built:
            built[key] = CASES[name](*map(int, arguments))
        seconds, cpu = [], time.process_time()
        for _ in range(int(repeats)):
            start = time.perf_counter()
            built[key]()
            seconds.append(time.perf_counter() - start)
        print(*seconds, time.process_time() - cpu, flush=True)


if __name__ == "__main__":
    main()
