"""A loop with Lightning Fabric."""

import torch
from lightning import Fabric
from torch import nn

from gradvitals.integrations.fabric import watch_fabric

fabric = Fabric(accelerator="cpu")
x = torch.randn(512, 20)
y = x[:, :5].argmax(dim=1)
net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 5))
model, optimizer = fabric.setup(net, torch.optim.Adam(net.parameters(), lr=1e-3))

with watch_fabric(fabric, model, optimizer, total_steps=100, every_n_steps=10) as vitals:
    for _ in range(100):
        rows = torch.randint(len(x), (64,))
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        optimizer.zero_grad()
        fabric.backward(loss)
        fabric.clip_gradients(model, optimizer, max_norm=1.0)
        optimizer.step()
        vitals.log(loss)
print(vitals)
