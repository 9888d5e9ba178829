"""A file of prices, and what NATS holds → what everything costs now."""
