"""What a study may ask of its data beside its laws: how its answers depend on the design."""
