"""HTTP of the receiver: `receiver` answers, `api` describes it, `body` and `turns` bound what one request may take."""
