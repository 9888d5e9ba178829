"""Questions over NATS: a request on a subject, answered by whichever gateway is free."""
