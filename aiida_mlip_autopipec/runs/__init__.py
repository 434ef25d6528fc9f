"""What a user does with a run: progress, results, resume, kill."""
