"""The hot path: pure, synchronous, total, standard library only. It knows neither Envoy's types nor the network."""
