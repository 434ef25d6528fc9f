"""What a potential learns from its own exploration: what grade means what error, and when it is enough."""
