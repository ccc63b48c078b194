"""The cure of a config that does not learn: remedies tried in short trainings, the best confirmed at full length."""
