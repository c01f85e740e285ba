"""What a backtest says: text for a terminal, one HTML page with its plots, and tuned values as YAML."""
