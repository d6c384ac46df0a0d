"""The program: one photo's path, the quiet work between, the daemon, the one-shot commands."""
