"""A small transformer that predicts the next character of a text, here of torch's own source code."""

from pathlib import Path

import torch
from torch import Tensor, nn

import gradvitals

text = Path(str(nn.modules.transformer.__file__)).read_text(encoding="utf-8")
letters = sorted(set(text))
tokens = torch.tensor([letters.index(letter) for letter in text])
LENGTH, WIDTH = 64, 64


class LanguageModel(nn.Module):
    """Two blocks of causal attention."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.position = nn.Embedding(len(letters), WIDTH), nn.Embedding(LENGTH, WIDTH)
        block = nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, dropout=0.0, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(block, 2, nn.LayerNorm(WIDTH), enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, len(letters))

    def forward(self, x: Tensor) -> Tensor:
        h = self.embedding(x) + self.position(torch.arange(LENGTH))
        h = self.blocks(h, nn.Transformer.generate_square_subsequent_mask(LENGTH), is_causal=True)
        logits: Tensor = self.head(h)
        return logits


model = LanguageModel()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
with gradvitals.watch(model, optimizer, total_steps=200) as vitals:
    for _ in range(200):
        rows = torch.randint(len(tokens) - LENGTH, (16, 1)) + torch.arange(LENGTH + 1)
        x, y = tokens[rows[:, :-1]], tokens[rows[:, 1:]]
        loss = nn.functional.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
        optimizer.step()
        vitals.log(loss)
print(vitals)
