"""Setup and checks of profiles, computers and codes for runs on other machines."""
