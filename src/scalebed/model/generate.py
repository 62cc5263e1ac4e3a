"""Continue a prompt with a trained model."""

import torch

from scalebed.model.decoder import Decoder


@torch.no_grad()
def generate(
    model: Decoder, prompt: list[int], count: int, temperature: float, seed: int
) -> list[int]:
    """Return `count` tokens that continue a prompt.

    Parameters
    ----------
    model
        The model.
    prompt
        At least one token; the model sees the last ``context`` of them.
    count
        Tokens to add.
    temperature
        Divides the logits; at 0 the most likely token is taken.
    seed
        Seed of the draws.
    """
    generator = torch.Generator().manual_seed(seed)
    tokens = list(prompt)
    for _ in range(count):
        window = torch.tensor([tokens[-model.config.context :]], device=model.head.device)
        logits = model(window)[0, -1].cpu()
        if temperature == 0:
            tokens.append(int(logits.argmax()))
        else:
            weights = torch.softmax(logits / temperature, dim=0)
            tokens.append(int(torch.multinomial(weights, 1, generator=generator)))
    return tokens[len(prompt) :]
