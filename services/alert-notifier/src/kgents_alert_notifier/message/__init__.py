"""What a receiver is sent: incident → facts → the form of Slack, PagerDuty, Alertmanager, e-mail, a webhook, text."""
