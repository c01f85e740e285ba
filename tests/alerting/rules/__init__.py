"""The rules against the real promtool and amtool."""
