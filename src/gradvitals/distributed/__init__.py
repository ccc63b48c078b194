"""Support for several processes: DTensors, collectives, sharding, SyncBatchNorm, the cluster environment."""
