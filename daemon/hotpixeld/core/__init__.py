"""Arithmetic on arrays and bytes: no file, no clock, no thread, no log."""
