"""JSON of pages and webhooks to typed record batches."""
