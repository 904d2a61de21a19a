"""Webhooks v1: subscriptions to changes of the world, and the engine that delivers them."""
