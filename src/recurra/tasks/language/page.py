"""report.html of a language model: what it is, how it trained, what it writes."""

from recurra.reports import Section, report, watched_sections
from recurra.tasks.language.config import LanguageConfig
from recurra.tasks.language.evaluate import Evaluation
from recurra.training import Run, TrainingResult

__all__ = ["page"]


def page(
    config: LanguageConfig,
    run: Run,
    sizes: dict[str, int],
    result: TrainingResult,
    validation: Evaluation | None,
    sample: str,
) -> str:
    """The page as HTML; `sizes` are counts by name, `sample` is a text that the model wrote."""
    model = {
        "cell": config.cell,
        "layers": config.layers,
        "hidden units": config.hidden,
        **{what: f"{count:,}" for what, count in sizes.items()},
        "trained on": ", ".join(source["path"] for source in run.config["training files"]),
    }
    training = {
        "steps": f"{result.steps:,}",
        "epochs": result.epochs,
        "minutes": f"{result.seconds / 60:.1f}",
        "ended by": result.stopped,
        "steps clipped": f"{result.clipped_share:.1%}",
    }
    sections = [
        Section("Model", model),
        *([Section("Validation", _figures(validation))] if validation is not None else ()),
        Section("Training", training),
        Section("Curves", run.metrics()),
        *watched_sections(run.gradients()),
        *([Section("A sample", sample)] if sample else ()),
    ]
    return report(f"Language model, level {config.level}", sections)


def _figures(validation: Evaluation) -> dict[str, object]:
    return {
        "nats a token": f"{validation['nats']:.4f}",
        "bits a character": f"{validation['bits_per_character']:.4f}",
        "perplexity": f"{validation['perplexity']:.2f}",
        "tokens": f"{validation['tokens']:,}",
    }
