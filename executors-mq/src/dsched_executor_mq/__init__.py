"""Runs a task as one message to AMQP, NATS JetStream, Kafka or Redis Streams."""
