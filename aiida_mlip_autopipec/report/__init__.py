"""The report on a potential: one HTML file that needs no network. Only `collect` knows AiiDA."""
