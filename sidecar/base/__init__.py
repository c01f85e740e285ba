"""What every layer may use: configuration files, log lines, watched files, systemd and long work in slices."""
