"""The language model of the paper: architecture, initialisation, loss and files."""

from scalebed.model.config import ModelConfig
from scalebed.model.decoder import Decoder
from scalebed.model.initialise import initialise
from scalebed.model.loss import Loss
from scalebed.model.saved import load_model, save_model

__all__ = ["Decoder", "Loss", "ModelConfig", "initialise", "load_model", "save_model"]
