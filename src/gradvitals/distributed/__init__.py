"""What several processes need: DTensors, collectives, sharding, SyncBatchNorm, the cluster environment."""
