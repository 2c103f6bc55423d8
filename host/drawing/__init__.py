"""Pictures of features, surfaces and curves."""
