"""One run: environment, data, model, trainer, result, summary."""
