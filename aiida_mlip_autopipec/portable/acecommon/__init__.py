"""What the programs that use python-ace share."""
