"""`HookedTransformerConfig`: what a transformer is, as inert and validated data."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import torch

from refractor.base.checks import check_float, check_int, check_member
from refractor.base.errors import ConfigError, nearest
from refractor.models.activations import ACTIVATIONS

DTYPES: Mapping[str, torch.dtype] = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
DERIVED = -1  # marks a size that follows from the others
NORMALIZATIONS = ("LN", "LNPre", None)
POSITIONS = ("standard", None)
DIRECTIONS = ("causal", "bidirectional")
INIT_MODES = ("gpt2", "xavier_uniform", "xavier_normal")

SWITCHES = ("use_attn_result", "use_split_qkv_input", "use_attn_in", "use_hook_mlp_in", "use_hook_tokens")
"""Fields that may be changed at any time: they say which optional hook points exist, not what the network is."""


@dataclass(eq=True, kw_only=True)
class HookedTransformerConfig:
    """The architecture of a `HookedTransformer`, with the field's usual names. It holds no weights and does nothing.

    The architecture is frozen: only the switches of optional hook points can be assigned later.

    Args:
        n_layers: number of blocks.
        d_model: width of the residual stream.
        n_ctx: longest sequence.
        d_head: width of a head.
        d_vocab: number of input tokens.
        n_heads: heads per layer; `d_model // d_head` when left out.
        d_mlp: neurons per layer; `4 * d_model` when left out; None for attention-only networks.
        act_fn: activation of the MLP, a key of `models.activations.ACTIVATIONS`; needed unless `attn_only`.
        d_vocab_out: number of output tokens; `d_vocab` when left out.
        normalization_type: "LN" (LayerNorm with weights), "LNPre" (its folded form, without) or None.
        positional_embedding_type: "standard" (learned, added to the embedding) or None.
        attention_dir: "causal" or "bidirectional".
        attn_only: leave the MLPs out.
        eps: added to the variance in norms.
        use_attn_scale: divide attention scores by `attn_scale`.
        attn_scale: `sqrt(d_head)` when left out.
        init_mode: "gpt2" (normal, s.d. `initializer_range`), "xavier_uniform" or "xavier_normal".
        initializer_range: `0.8 / sqrt(d_model)` when left out.
        init_weights: draw weights at construction; False leaves them uninitialised, to be loaded.
        seed: seed of the generator that draws the weights; None uses torch's global one.
        device: where the parameters lie.
        dtype: their type; a name such as "float32" is accepted.
        model_name: what people call it.
        use_attn_result: switch for `attn.hook_result` (every head's own output).
        use_split_qkv_input: switch for `hook_q_input`, `hook_k_input`, `hook_v_input`.
        use_attn_in: switch for `hook_attn_in`.
        use_hook_mlp_in: switch for `hook_mlp_in`.
        use_hook_tokens: switch for `hook_tokens`.

    Raises:
        ConfigError: a value is inconsistent, or a field is assigned that is not a switch.
        ArgumentError: a value is out of range.

    >>> cfg = HookedTransformerConfig(n_layers=1, d_model=128, n_ctx=3, d_head=32, d_vocab=114, act_fn="relu")
    >>> cfg.n_heads, cfg.d_mlp, cfg.d_vocab_out
    (4, 512, 114)
    >>> HookedTransformerConfig.from_dict(cfg.to_dict()) == cfg
    True

    """

    n_layers: int
    d_model: int
    n_ctx: int
    d_head: int
    d_vocab: int
    n_heads: int = DERIVED
    d_mlp: int | None = DERIVED
    act_fn: str | None = None
    d_vocab_out: int = DERIVED
    normalization_type: Literal["LN", "LNPre"] | None = "LN"
    positional_embedding_type: Literal["standard"] | None = "standard"
    attention_dir: Literal["causal", "bidirectional"] = "causal"
    attn_only: bool = False
    eps: float = 1e-5
    use_attn_scale: bool = True
    attn_scale: float = DERIVED
    init_mode: Literal["gpt2", "xavier_uniform", "xavier_normal"] = "gpt2"
    initializer_range: float = DERIVED
    init_weights: bool = True
    seed: int | None = None
    device: torch.device | str = "cpu"
    dtype: torch.dtype | str = torch.float32
    model_name: str = "custom"
    use_attn_result: bool = False
    use_split_qkv_input: bool = False
    use_attn_in: bool = False
    use_hook_mlp_in: bool = False
    use_hook_tokens: bool = False

    def __post_init__(self) -> None:
        """Fill in what follows from other fields, check everything, and freeze the architecture."""
        for name in ("n_layers", "d_model", "n_ctx", "d_head", "d_vocab"):
            check_int(name, getattr(self, name), least=1)
        self._derive()
        self._check_values()
        self._check_parts()
        object.__setattr__(self, "_frozen", True)

    def _derive(self) -> None:
        if self.n_heads == DERIVED:
            if self.d_model % self.d_head:
                raise ConfigError(
                    f"d_model={self.d_model} is no multiple of d_head={self.d_head}; say n_heads explicitly."
                )
            self.n_heads = self.d_model // self.d_head
        if self.d_mlp == DERIVED:
            self.d_mlp = None if self.attn_only else 4 * self.d_model
        if self.d_vocab_out == DERIVED:
            self.d_vocab_out = self.d_vocab
        if self.attn_scale == DERIVED:
            self.attn_scale = self.d_head**0.5 if self.use_attn_scale else 1.0
        if self.initializer_range == DERIVED:
            self.initializer_range = 0.8 / self.d_model**0.5
        if isinstance(self.dtype, str):
            check_member("dtype", self.dtype.removeprefix("torch."), tuple(DTYPES))
            self.dtype = DTYPES[self.dtype.removeprefix("torch.")]
        self.device = torch.device(self.device)

    def _check_values(self) -> None:
        check_int("n_heads", self.n_heads, least=1)
        check_int("d_vocab_out", self.d_vocab_out, least=1)
        check_member("normalization_type", self.normalization_type, NORMALIZATIONS)
        check_member("positional_embedding_type", self.positional_embedding_type, POSITIONS)
        check_member("attention_dir", self.attention_dir, DIRECTIONS)
        check_member("init_mode", self.init_mode, INIT_MODES)
        check_member("dtype", self.dtype, tuple(DTYPES.values()))
        check_float("eps", self.eps, least=0)
        check_float("attn_scale", self.attn_scale, above=0)
        check_float("initializer_range", self.initializer_range, least=0)
        if self.seed is not None:
            check_int("seed", self.seed, least=0, most=2**63 - 1)
        for name in ("attn_only", "use_attn_scale", "init_weights", *SWITCHES):
            _check_bool(name, getattr(self, name))

    def _check_parts(self) -> None:
        if self.attn_only:
            if self.d_mlp is not None or self.use_hook_mlp_in:
                raise ConfigError("attn_only=True leaves the MLPs out; d_mlp must be None and use_hook_mlp_in False.")
            return
        check_int("d_mlp", self.d_mlp, least=1)
        if self.act_fn is None:
            raise ConfigError(f"act_fn is needed for a network with MLPs: one of {', '.join(ACTIVATIONS)}.")
        check_member("act_fn", self.act_fn, tuple(ACTIVATIONS))

    def __setattr__(self, name: str, value: object) -> None:
        """Assign a switch; anything else is frozen once the configuration exists.

        Raises:
            ConfigError: `name` is not a switch, or `value` is no boolean.

        """
        if "_frozen" in self.__dict__:
            if name not in SWITCHES:
                near = ", ".join(nearest(name, SWITCHES) or SWITCHES)
                raise ConfigError(
                    f"cfg.{name} cannot be assigned: the architecture is frozen. Build a new config "
                    f"(dataclasses.replace). Switches that can be assigned: {near}."
                )
            _check_bool(name, value)
            if name == "use_hook_mlp_in" and value and self.attn_only:
                raise ConfigError("use_hook_mlp_in needs MLPs, and this network is attn_only.")
        object.__setattr__(self, name, value)

    @property
    def torch_dtype(self) -> torch.dtype:
        """The dtype of the parameters."""
        return DTYPES[self.dtype] if isinstance(self.dtype, str) else self.dtype

    def placed(self, device: torch.device, dtype: torch.dtype) -> None:
        """Note where the parameters lie now. Called by the network that owns this configuration when it is moved."""
        object.__setattr__(self, "device", device)
        object.__setattr__(self, "dtype", dtype)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**values, "device": str(self.device), "dtype": str(self.dtype).removeprefix("torch.")}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "HookedTransformerConfig":
        """Build a configuration from a mapping of fields.

        Raises:
            ConfigError: a key is not a field (the nearest ones are offered), or a required one is missing.

        """
        known = [field.name for field in fields(cls)]
        for key in values:
            if key not in known:
                near = ", ".join(nearest(key, known))
                raise ConfigError(
                    f"{key!r} is no field of HookedTransformerConfig." + (f" Nearest: {near}." if near else "")
                )
        missing = [name for name in ("n_layers", "d_model", "n_ctx", "d_head", "d_vocab") if name not in values]
        if missing:
            raise ConfigError(f"HookedTransformerConfig needs {', '.join(missing)}.")
        return cls(**values)

    def to_json(self) -> str:
        """Return the fields as JSON text."""
        return json.dumps(self.to_dict(), indent=2)

    @classmethod
    def from_json(cls, text: str) -> "HookedTransformerConfig":
        """Build a configuration from JSON text.

        Raises:
            ConfigError: the text is no JSON object, or has unknown or missing keys.

        """
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise ConfigError(f"the configuration is no valid JSON: {error}.") from error
        if not isinstance(values, dict):
            raise ConfigError(f"the configuration must be a JSON object; {type(values).__name__} came.")
        return cls.from_dict(values)


def _check_bool(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise ConfigError(f"{name} must be True or False; {value!r} came.")
