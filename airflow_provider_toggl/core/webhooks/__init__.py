"""Webhook deliveries: who may send them, what they are answered, and how they reach the event store."""
