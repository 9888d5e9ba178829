"""The streams of versions and events → PostgreSQL: each message once, as the bytes that were published."""
