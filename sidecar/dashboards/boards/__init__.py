"""What the dashboards show, a subject a file."""
