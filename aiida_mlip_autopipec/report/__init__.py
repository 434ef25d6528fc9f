"""Report on a potential: one self-contained HTML file. Only the module `collect` uses AiiDA."""
