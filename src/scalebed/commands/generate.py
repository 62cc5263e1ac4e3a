"""Continue a prompt with the model of a trained cell."""

import argparse
from pathlib import Path


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
    from scalebed.data.tokenizer import load_tokenizer
    from scalebed.model import load_model
    from scalebed.model.generate import generate

    if args.tokens < 1 or args.temperature < 0:
        raise ScalebedError("--tokens must be at least 1 and --temperature at least 0")
    model, about = load_model(args.cell)
    # results/cells/dataset=…/…/seed=… lies six levels below results/.
    root = args.cell.resolve().parents[5]
    path = args.tokenizer or root / "tokenizers" / about["tokenizer"] / "manifest.json"
    tokenizer = load_tokenizer(path)
    prompt = [tokenizer.eot, *tokenizer.encode_batch([args.prompt])[0].tolist()]
    tokens = generate(model, prompt, args.tokens, args.temperature, args.seed)
    print(args.prompt + tokenizer.decode(tokens))
