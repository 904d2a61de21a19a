"""Webhook deliveries: verify the signature, store the event, answer.

Read ``app`` (the ASGI application), then ``handler`` (one request from top to bottom) and ``delivery`` (its decisions).
"""
