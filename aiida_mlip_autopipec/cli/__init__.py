"""Commands of `mlip-auto`: they parse arguments, call functions and print. AiiDA is imported only where needed."""
