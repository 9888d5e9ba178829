"""What is made of a recording: `moved` replays it as if it happened now, `offline` judges it without NATS."""
