"""How good a network is: feature vectors, classifiers, activation scores, search."""
