"""A loop with Hugging Face Accelerate, which accumulates gradients and clips them."""

import torch
from accelerate import Accelerator
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from gradvitals.integrations.accelerate import watch_accelerator

x = torch.randn(512, 20)
model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 5))
accelerator = Accelerator(gradient_accumulation_steps=2, cpu=True)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
loader = DataLoader(TensorDataset(x, x[:, :5].argmax(dim=1)), batch_size=32, shuffle=True)
model, optimizer, loader = accelerator.prepare(model, optimizer, loader)

with watch_accelerator(accelerator, model, optimizer, total_steps=80, every_n_steps=10) as vitals:
    for inputs, targets in (batch for _ in range(10) for batch in loader):
        with accelerator.accumulate(model):
            loss = nn.functional.cross_entropy(model(inputs), targets)
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            vitals.log(loss)
print(vitals)
