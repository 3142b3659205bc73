"""The tab "LR Doctor" in TensorBoard: the report of the log folder's runs, kept up to date as they grow."""
