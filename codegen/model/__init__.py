"""The trained network: hyperparameters, weights, filters, readout, and the model file."""
