"""An adapter: which tensors of a family's files make which of ours, both ways."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from refractor.checkpoints.adapters.keys import Keys
from refractor.checkpoints.adapters.layouts import HEAD_BIASES, HEADS_IN, HEADS_OUT, SAME, TRANSPOSED, Layout
from refractor.models.config import HookedTransformerConfig


@dataclass(frozen=True)
class Rule:
    """Tensors of the file that make tensors of ours.

    Args:
        theirs: names in the file.
        ours: our names.
        layout: how the ones lie in the others.

    """

    theirs: tuple[str, ...]
    ours: tuple[str, ...]
    layout: Layout = SAME

    def at(self, layer: int) -> "Rule":
        """Return the same rule for one layer: `#` stands for its number in names."""
        return Rule(_at(self.theirs, layer), _at(self.ours, layer), self.layout)


Rules = Sequence[Rule]
RulesOf = Callable[[HookedTransformerConfig, Mapping[str, Any]], Rules]


@dataclass(frozen=True)
class Adapter:
    """One family: its configuration in our words, and its tensors by name.

    Args:
        model_types: what `model_type` says in the configurations of this family.
        config: makes the fields of a `HookedTransformerConfig`, asking for every key.
        rules: the tensors, given both configurations; `#` in a name is the number of a layer.
        prefixes: beginnings of the names that some files leave out.
        buffers: endings of names in files that are no weights, with the reason why they are ignored.
        ignored_keys: keys of the configuration that change nothing, with the reason.
        tied: whether embedding and unembedding are one matrix when the configuration does not say.
        rules_in_memory: the tensors by the names that they have in a model in memory, where these are others.
        written_config: the configuration under which what was read is written, where reading multiplied tensors.

    Biases of ours that no rule names are those that the family does not have: they are zero.

    """

    model_types: tuple[str, ...]
    config: Callable[[Keys], dict[str, Any]]
    rules: RulesOf
    prefixes: tuple[str, ...] = ("model.", "transformer.")
    buffers: Mapping[str, str] = field(default_factory=dict)
    ignored_keys: Mapping[str, str] = field(default_factory=dict)
    tied: bool = True
    rules_in_memory: RulesOf | None = None
    written_config: Callable[[Mapping[str, Any]], dict[str, Any]] = dict

    def all_rules(self, cfg: HookedTransformerConfig, config: Mapping[str, Any]) -> list[Rule]:
        """Return the rules of all layers and of what belongs to none."""
        rules = self.rules(cfg, config)
        return _expanded(rules, cfg)

    def in_memory(self, cfg: HookedTransformerConfig, config: Mapping[str, Any]) -> list[Rule] | None:
        """Return the same rules for the names in memory; None where they are those of the files."""
        return None if self.rules_in_memory is None else _expanded(self.rules_in_memory(cfg, config), cfg)

    def fields(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a configuration says in our words."""
        return self.config(Keys(config, self.ignored_keys))


def _expanded(rules: Rules, cfg: HookedTransformerConfig) -> list[Rule]:
    everywhere = [rule for rule in rules if not _of_layers(rule)]
    return everywhere + [rule.at(layer) for layer in range(cfg.n_layers) for rule in rules if _of_layers(rule)]


def _of_layers(rule: Rule) -> bool:
    return any("#" in name for name in (*rule.theirs, *rule.ours))


def _at(names: tuple[str, ...], layer: int) -> tuple[str, ...]:
    return tuple(name.replace("#", str(layer)) for name in names)


def one(theirs: str, ours: str, layout: Layout = SAME) -> Rule:
    """Return the rule of one tensor that makes one."""
    return Rule((theirs,), (ours,), layout)


def norm(theirs: str, ours: str, bias: bool = True, layout: Layout = SAME) -> list[Rule]:
    """Return the rules of a norm: its weight, and its bias where it has one."""
    weight = one(f"{theirs}.weight", f"{ours}.w", layout)
    return [weight, one(f"{theirs}.bias", f"{ours}.b")] if bias else [weight]


def linear(theirs: str, ours: str, has_bias: bool = True) -> list[Rule]:
    """Return the rules of a linear map [out, in]: a weight `W_…`, and `b_…` where it has one."""
    weight = one(f"{theirs}.weight", ours, TRANSPOSED)
    return [weight, one(f"{theirs}.bias", ours.replace("W_", "b_"))] if has_bias else [weight]


def attention(
    cfg: HookedTransformerConfig, theirs: str, names: tuple[str, str, str, str], qkv_bias: bool, out_bias: bool
) -> list[Rule]:
    """Return the rules of attention with four separate maps [out, in].

    Args:
        cfg: the architecture.
        theirs: how the names of the maps begin.
        names: of the maps of queries, keys, values and output.
        qkv_bias: whether the first three have biases.
        out_bias: whether the last has.

    """
    rules = []
    for name, letter in zip(names, "QKVO", strict=True):
        ours = heads(cfg, f"W_{letter}")
        rules.append(one(f"{theirs}.{name}.weight", ours, HEADS_OUT if letter == "O" else HEADS_IN))
        if out_bias if letter == "O" else qkv_bias:
            layout = SAME if letter == "O" else HEAD_BIASES
            rules.append(one(f"{theirs}.{name}.bias", heads(cfg, f"b_{letter}"), layout))
    return rules


def fused_attention(
    cfg: HookedTransformerConfig, theirs: str, layout: Layout, has_bias: bool, bias_layout: Layout | None = None
) -> list[Rule]:
    """Return the rules of queries, keys and values in one tensor; biases lie like weights unless told otherwise."""
    rules = [Rule((f"{theirs}.weight",), tuple(heads(cfg, f"W_{letter}") for letter in "QKV"), layout)]
    if has_bias:
        ours = tuple(heads(cfg, f"b_{letter}") for letter in "QKV")
        rules.append(Rule((f"{theirs}.bias",), ours, bias_layout or layout))
    return rules


def heads(cfg: HookedTransformerConfig, name: str) -> str:
    """Return the full name of a parameter of attention in every layer, as it is stored: see `Attention`."""
    shared = cfg.n_key_value_heads is not None and name[-1] in "KV"
    return f"blocks.#.attn.{'_' if shared else ''}{name}"


def unembedding(
    config: Mapping[str, Any], theirs: str = "lm_head", has_bias: bool = False, tied: bool = True
) -> list[Rule]:
    """Return the rules of the unembedding; where it is tied to the embedding, no tensor of the file makes it.

    Args:
        config: the family's configuration.
        theirs: name of the map in the file.
        has_bias: whether it has a bias.
        tied: what a configuration means that does not say.

    """
    if is_tied(config, tied):
        return []
    return linear(theirs, "unembed.W_U", has_bias)


def is_tied(config: Mapping[str, Any], default: bool = True) -> bool:
    """Whether the embedding is the unembedding too."""
    value = config.get("tie_word_embeddings")
    return default if value is None else bool(value)
