"""Sequences of numbers with a label each: files, tables and arrays read, distorted, as features."""
