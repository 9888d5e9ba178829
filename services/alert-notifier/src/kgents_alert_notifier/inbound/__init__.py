"""What people decide at Slack and PagerDuty → KGENTS_ACK and KGENTS_SILENCE: signed requests from there."""
