"""How far the error of each task can be predicted from the loss."""
