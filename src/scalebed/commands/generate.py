"""Continue a prompt with the model of a trained cell."""

import argparse
from pathlib import Path
from typing import Final

_LEAST: Final = 1e-6
"""Temperature below which only the likeliest token is left, and then numbers overflow."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument("--cell", required=True, type=Path, help="folder of the cell")
    parser.add_argument("--prompt", default="", help="text to continue")
    parser.add_argument("--tokens", default=100, type=int, help="tokens to add")
    parser.add_argument("--temperature", default=0.8, type=float, help="0 takes the likeliest")
    parser.add_argument("--seed", default=0, type=int, help="seed of the draws")
    parser.add_argument(
        "--tokenizer", type=Path, help="tokenizer manifest, if not where the workflow puts it"
    )


def run(args: argparse.Namespace) -> None:
    """Print the prompt and its continuation."""
    from scalebed.core.errors import ScalebedError
    from scalebed.data.tokenizer import load_tokenizer, manifest_of
    from scalebed.model import load_model
    from scalebed.model.generate import generate

    if args.tokens < 1:
        raise ScalebedError(f"--tokens is {args.tokens}, expected at least 1")
    if args.temperature != 0 and not _LEAST <= args.temperature < float("inf"):
        raise ScalebedError(
            f"--temperature is {args.temperature:g}, expected 0 or at least {_LEAST:g}"
        )
    if not -(2**63) <= args.seed < 2**64:
        raise ScalebedError(f"--seed is {args.seed}, expected a number of at most 64 bits")
    if not _is_text(args.prompt):
        raise ScalebedError(f"--prompt is {args.prompt!r}, expected text in UTF-8")
    model, about = load_model(args.cell)
    tokenizer = load_tokenizer(manifest_of(args.cell, about, args.tokenizer))
    if tokenizer.vocab > model.config.vocab:
        raise ScalebedError(
            f"the tokenizer has {tokenizer.vocab} ids and the model {model.config.vocab}, expected "
            "the tokenizer that the cell was trained with"
        )
    prompt = [tokenizer.eot, *tokenizer.encode_batch([args.prompt])[0].tolist()]
    tokens = generate(model, prompt, args.tokens, args.temperature, args.seed)
    print(args.prompt + tokenizer.decode(tokens))


def _is_text(prompt: str) -> bool:
    """Whether a word of the command line was UTF-8; bytes that are not are halves of surrogates."""
    return prompt.encode(errors="replace").decode() == prompt
