"""Everything outside the process: files, codecs, database, watcher, systemd."""
