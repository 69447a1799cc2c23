"""The health endpoint: a small HTTP daemon on each node that tells load balancers which services may have clients."""
