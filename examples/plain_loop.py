"""A training loop of one's own, in plain torch."""

import torch
from torch import nn

import gradvitals

x = torch.randn(512, 20)
y = x[:, :5].argmax(dim=1)
model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 5))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

with gradvitals.watch(model, optimizer, total_steps=100, every_n_steps=10) as vitals:
    for _ in range(100):
        rows = torch.randint(len(x), (64,))
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        vitals.log(loss)
print(vitals)
