"""What every layer may use: configuration files, log lines, watched files, systemd, memory and long work in slices."""
