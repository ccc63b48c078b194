"""A Hugging Face Trainer: gradient norms before and after clipping. Its default learning rate is for fine-tuning."""

from tempfile import mkdtemp

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

from gradvitals.integrations.hugging_face import GradientVitalsCallback

tokens = torch.randint(100, (256, 16))
data = [{"input_ids": row, "labels": int(row[0] < 50)} for row in tokens]
config = BertConfig(vocab_size=100, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
callback = GradientVitalsCallback(every_n_steps=10)
arguments = TrainingArguments(output_dir=mkdtemp(), max_steps=60, use_cpu=True, report_to="none", save_strategy="no")
trainer = Trainer(BertForSequenceClassification(config), arguments, train_dataset=data, callbacks=[callback])
trainer.train()
print(callback)
