"""What some figures and the report show beside the laws: computed here, drawn there."""
