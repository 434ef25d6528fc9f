"""Portable programs: declaration, jobs, restarts, and exit codes for their failures."""
