"""Who is notified of an incident, as data: routes, windows of time → receivers. Pure."""
