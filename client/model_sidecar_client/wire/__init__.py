"""Events to bytes, and bytes to the sidecar: `encode` and `messagepack` write bodies, `transport` sends them."""
