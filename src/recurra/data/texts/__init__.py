"""Labelled texts: files of them, their words, sub-words or characters, and vectors of words."""
