"""Readers, vocabularies and batching: from files to tensors, with no model in sight."""
