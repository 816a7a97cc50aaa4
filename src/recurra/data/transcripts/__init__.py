"""Transcribed recordings, ink and images: manifests, folders, parts of them, and bad items."""
