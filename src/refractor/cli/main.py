"""The commands. Each calls functions that are as easy to call from Python; what is heavy is imported when one runs."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from refractor.base.errors import ArgumentError, RefractorError, UnknownNameError
from refractor.cli import commands

EXIT_FAILED, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 1, 2, 130

EPILOG = (
    "Exit codes: 0 done; 1 something failed (a file is missing or damaged, the disk is full); 2 bad input; "
    "130 interrupted (Ctrl-C)."
)

app = typer.Typer(
    name="refractor",
    help="Take trained transformers apart.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

TASK, NETWORK = "The task", "The network"
"""Panels of the help of `train`."""


def _option(text: str, default: str | bool = False, panel: str = NETWORK) -> Any:
    """Return an option that may be left out, with what it is then, for the help alone."""
    return typer.Option(help=text, show_default=default, rich_help_panel=panel)


MODEL = "modular-addition-113"
Model = Annotated[
    str, typer.Argument(help="A bundled network (also MODEL@STEP), or the folder of a run, also of the 2023 study.")
]


def _version(wanted: bool | None) -> None:
    if wanted:
        typer.echo(f"refractor {commands.version()}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool | None, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,
) -> None:
    """Take trained transformers apart."""


@app.command(epilog=EPILOG)
def report(
    model: Model = MODEL,
    out: Annotated[Path, typer.Option("--out", "-o", help="The page to write.")] = Path("report.html"),
) -> None:
    """Write one self-contained page about the algorithm that a network learned. Trains nothing."""
    typer.echo(commands.report(model, out))


@app.command(epilog=EPILOG)
def measure(
    model: Model = MODEL,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Print every measure of a network by its name, each with its control."""
    typer.echo(commands.measure_json(model) if as_json else commands.measure_text(model))


@app.command(epilog=EPILOG)
def universality(
    models: Annotated[list[str], typer.Argument(help="Networks that compose elements of groups: names or folders.")],
    form: Annotated[str, typer.Option("--format", "-f", help="text, csv, latex or html.")] = "text",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The file to write; else it is printed.")] = None,
) -> None:
    """Make the table of the 2023 study of universality: each network, and means; published figures beside ours."""
    typer.echo(commands.universality(models, form, out))


@app.command(epilog=EPILOG)
def verify(
    model: Annotated[str, typer.Argument(help="A name on the hub, a folder, a GGUF file, or a network of our own.")],
    dtype: Annotated[str, typer.Option(help="float32, float64, bfloat16 or float16.")] = "float32",
    processed: Annotated[
        bool, typer.Option("--processed", help="Check the weights as from_pretrained rewrites them.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Load a model and check that it computes what its weights mean. Exit code 1 when a check fails."""
    found = commands.verify(model, dtype, processed)
    typer.echo(json.dumps(found.to_dict(), indent=2, allow_nan=False) if as_json else found)
    if not found.passed:
        raise typer.Exit(EXIT_FAILED)


@app.command(epilog=EPILOG)
def train(
    task: Annotated[str, typer.Argument(help="composition, or modular-addition, modular-subtraction and others.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of the run.")],
    p: Annotated[int | None, typer.Option("--p", help="The modulus, for modular tasks.", rich_help_panel=TASK)] = None,
    group: Annotated[
        str | None, typer.Option(help="The group, such as S5, for composition.", rich_help_panel=TASK)
    ] = None,
    operation: Annotated[str | None, _option("product, quotient, conjugation or commutator.", "product", TASK)] = None,
    ordering: Annotated[str | None, _option("Order of the elements, or sympy-coset-rank.", "canonical", TASK)] = None,
    factors: Annotated[int | None, _option("Elements in a product.", "2", TASK)] = None,
    network: Annotated[
        str, typer.Option(help="transformer, mlp, bilinear or quadratic.", rich_help_panel=NETWORK)
    ] = "transformer",
    seed: Annotated[int, typer.Option(help="Seed of the weights.", rich_help_panel=NETWORK)] = 0,
    d_model: Annotated[int | None, _option("Width of a transformer's residual stream.", "128")] = None,
    n_heads: Annotated[int | None, _option("A transformer's attention heads.", "4")] = None,
    d_mlp: Annotated[int | None, _option("A transformer's neurons.", "512")] = None,
    train_biases: Annotated[bool, _option("Train a transformer's biases too.")] = False,
    d_embed: Annotated[int | None, _option("Width of an embedding (mlp, bilinear).", "256")] = None,
    d_hidden: Annotated[int | None, _option("Neurons of a hidden layer (mlp, quadratic).", "128")] = None,
    hidden_layers: Annotated[int | None, _option("Hidden layers of an mlp, 1 or 2.", "1")] = None,
    biases: Annotated[bool, _option("Give an mlp biases.")] = False,
    shared: Annotated[bool, _option("Read both elements with one embedding (mlp, bilinear).")] = False,
    steps: Annotated[int, typer.Option(help="Updates, at most.")] = 20_000,
    fraction: Annotated[float, typer.Option(help="Share of the questions trained on.")] = 0.3,
    split_seed: Annotated[int, typer.Option(help="Seed of the split.")] = 0,
    lr: Annotated[float, typer.Option(help="Learning rate.")] = 1e-3,
    weight_decay: Annotated[float, typer.Option(help="Weight decay.")] = 1.0,
    warm_up: Annotated[int, typer.Option(help="Updates over which the learning rate rises.")] = 0,
    stop_below: Annotated[float | None, typer.Option(help="Stop when the held-out loss is below this.")] = None,
    evaluate_every: Annotated[int, typer.Option(help="Steps between two looks at the held-out loss.")] = 50,
    snapshot_every: Annotated[int, typer.Option(help="Steps between two snapshots of the weights.")] = 500,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no bar.")] = False,
) -> None:
    """Train a small network on a task. The same command goes on after an interruption, bit for bit.

    For example: refractor train composition --group S5 --network mlp --fraction 0.4 --steps 100000 --out run
    """
    widths = {"d_model": d_model, "n_heads": n_heads, "d_mlp": d_mlp, "d_embed": d_embed, "d_hidden": d_hidden}
    switches = {"train_biases": train_biases, "hidden_layers": hidden_layers, "biases": biases, "shared": shared}
    folder = commands.train(
        task=(task, {"p": p, "group": group, "operation": operation, "ordering": ordering, "factors": factors}),
        network=(network, {**widths, **switches}, seed),
        training={
            "steps": steps,
            "fraction": fraction,
            "split_seed": split_seed,
            "lr": lr,
            "weight_decay": weight_decay,
            "warm_up": warm_up,
            "stop_below": stop_below,
            "evaluate_every": evaluate_every,
            "snapshot_every": snapshot_every,
        },
        folder=out,
        show_bar=not quiet,
    )
    typer.echo(folder)


def main() -> None:
    """Run a command; an error of ours is one line on standard error, and an exit code that says of which kind."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run a command and return its exit code."""
    try:
        status = app(arguments, standalone_mode=False)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _say("interrupted; the same command goes on where it stopped.", EXIT_INTERRUPTED)
    except typer.Abort:
        return _say("interrupted.", EXIT_INTERRUPTED)
    except BrokenPipeError:  # whoever read the output has had enough; what is left in the buffer goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except RefractorError as error:
        if "--debug" in arguments:
            raise
        bad_input = isinstance(error, ArgumentError | UnknownNameError)
        return _say(" ".join(str(error).split()), EXIT_BAD_INPUT if bad_input else EXIT_FAILED)
    except typer.TyperException as error:
        return _say(error.format_message(), EXIT_BAD_INPUT)
    return status if isinstance(status, int) else 0


def _say(message: str, code: int) -> int:
    typer.echo(f"refractor: {message}", err=True)
    return code


if __name__ == "__main__":
    main()
