"""RabbitMQ as its agent sees it: handshake, management API, the cluster's state, and who may boot."""
