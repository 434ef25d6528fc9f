"""Selection before labelling: files and results (`process`), what a job says (`parser`) and the WorkChain (`workflow`)."""
