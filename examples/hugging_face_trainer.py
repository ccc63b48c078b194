"""Fine-tuning by the Hugging Face Trainer. The tiny model is built here; yours comes from ``from_pretrained``."""

from tempfile import mkdtemp

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

from gradvitals.integrations.hugging_face import GradientVitalsCallback

tokens = torch.randint(100, (512, 16))
data = [{"input_ids": row, "labels": int(row[0] < 50)} for row in tokens]
config = BertConfig(vocab_size=100, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
arguments = TrainingArguments(
    output_dir=mkdtemp(),
    num_train_epochs=8,
    per_device_train_batch_size=32,
    learning_rate=1e-3,  # the Trainer's default, 5e-5, suits weights that were trained before; these were not
    report_to="none",
    save_strategy="no",
    use_cpu=True,
)
callback = GradientVitalsCallback(every_n_steps=10)
Trainer(BertForSequenceClassification(config), arguments, train_dataset=data, callbacks=[callback]).train()
print(callback)
