"""The networks that the trainer knows: told apart by their configurations, held against a task."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from refractor.base.errors import ConfigError
from refractor.models.config import HookedTransformerConfig
from refractor.models.pair_networks import PairNetwork, PairNetworkConfig, build_pair_network
from refractor.models.transformer import HookedTransformer
from refractor.tasks.task import Task
from refractor.training.config import TrainingConfig

Network = HookedTransformer | PairNetwork
NetworkConfig = HookedTransformerConfig | PairNetworkConfig


def build_network(cfg: NetworkConfig) -> Network:
    """Return the network of a configuration, with drawn weights."""
    return HookedTransformer(cfg) if isinstance(cfg, HookedTransformerConfig) else build_pair_network(cfg)


def unfilled_network(cfg: NetworkConfig) -> Network:
    """Return the network of a configuration, to load weights into."""
    if isinstance(cfg, HookedTransformerConfig):
        return HookedTransformer({**cfg.to_dict(), "init_weights": False})
    return build_pair_network(replace(cfg, init_weights=False))


def network_config_from_dict(values: Mapping[str, Any]) -> NetworkConfig:
    """Return the configuration that `to_dict` described: with an architecture it is a network of pairs.

    Raises:
        ConfigError: a key is not known or missing.

    """
    if "architecture" in values:
        return PairNetworkConfig.from_dict(values)
    return HookedTransformerConfig.from_dict(values)


def check_fit(task: Task, model_config: NetworkConfig) -> None:
    """Raise unless the network can read the questions of the task and give its answers.

    Raises:
        ConfigError: it cannot; what is needed and what the network has are named.

    """
    if isinstance(model_config, PairNetworkConfig):
        if task.n_ctx != 3:
            raise ConfigError(
                f"{task.title} has questions of {task.n_ctx - 1} elements; a network with "
                f"architecture={model_config.architecture!r} reads two. Use a transformer."
            )
        if model_config.n != task.n:
            raise ConfigError(f"{task.title} needs n={task.n}; the network has {model_config.n}.")
        return
    for name, need in (("d_vocab", task.d_vocab), ("d_vocab_out", task.d_vocab_out)):
        have = model_config.to_dict()[name]
        if have != need:
            raise ConfigError(f"{task.title} needs {name}={need}; the network has {have}.")
    if model_config.n_ctx < task.n_ctx:
        raise ConfigError(f"{task.name} needs n_ctx of at least {task.n_ctx}; the network has {model_config.n_ctx}.")


def check_biases(model_config: NetworkConfig, config: TrainingConfig) -> None:
    """Raise if biases that were asked for would stay at 0.

    A transformer always has biases, and the published ones leave them at 0. A network of pairs has none unless they are
    asked for, so there `train_biases=False` contradicts `biases=True`.

    Raises:
        ConfigError: it does.

    """
    if isinstance(model_config, PairNetworkConfig) and model_config.biases and not config.train_biases:
        raise ConfigError(
            "biases=True asks for a network with biases, and train_biases=False would leave them at 0. "
            "Use train_biases=True, or a network without."
        )
