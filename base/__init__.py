"""What every other room stands on: settings, logs, files, formats, the database and the broker."""
