"""What the gateway does with a request: Istio's route table, Envoy's matching and cors filter."""
