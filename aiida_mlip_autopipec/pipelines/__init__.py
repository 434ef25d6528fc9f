"""WorkChains of complete pipelines, and their builders."""
