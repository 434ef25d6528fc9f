"""Profile, computers and codes for those who outgrow one machine, and the check of all of them."""
