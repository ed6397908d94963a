"""`HookedTransformerConfig`: what a transformer is, as inert and validated data."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import torch

from refractor.base.checks import check_member
from refractor.base.errors import ConfigError, nearest
from refractor.models.config_checks import DTYPES, SWITCHES, check_bool, check_parts, check_sizes, check_values
from refractor.models.rotary import RotaryScaling

DERIVED = -1  # marks a size that follows from the others
REQUIRED = ("n_layers", "d_model", "n_ctx", "d_head", "d_vocab")


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
        n_key_value_heads: key/value heads per layer, each shared by `n_heads / n_key_value_heads` query heads
            (Ainslie et al. 2023); None when every head has its own.
        d_mlp: neurons per layer (per expert); `4 * d_model` when left out; None for attention-only networks.
        act_fn: activation of the MLP, a key of `models.activations.ACTIVATIONS`; needed unless `attn_only`.
        gated_mlp: `act(x W_gate) * (x W_in)` before `W_out` (Shazeer 2020).
        num_experts: MLPs per layer among which a router chooses (Shazeer et al. 2017); None for a single one.
        experts_per_token: how many of them a token goes through.
        d_vocab_out: number of output tokens; `d_vocab` when left out.
        normalization_type: "LN" (LayerNorm with weights), "RMS" (RMSNorm with weights, no mean taken off), their
            folded forms without weights, "LNPre" and "RMSPre", or None.
        norm_placement: where a block normalises: "before" attention and MLP; "before_and_after" them, each with its own
            norm (Gemma 2); only "after" them, on what they add (OLMo 2); on the "stream" after each addition (the
            original transformer), where no final norm follows.
        qk_norm: norm of queries and keys: "RMS" over each head, weights shared by the heads; "joint RMS" over all heads
            together; "LN" over each head, weights per head and no bias; or None.
        post_embedding_ln: normalise the embedding (Bloom).
        positional_embedding_type: "standard" (learned, added to the embedding), "rotary" (Su et al. 2021),
            "shortformer" (learned, added to what queries and keys read; Press et al. 2020), "alibi" (a slope on the
            scores; Press et al. 2021) or None.
        rotary_dim: how many of the dimensions of a head turn; all when left out.
        rotary_base: base of the wavelengths, `2π base^(2i / rotary_dim)`.
        rotary_base_local: base in layers with a window; `rotary_base` when left out.
        rotary_adjacent_pairs: dimensions 2i and 2i + 1 turn together (GPT-J), instead of i and i + rotary_dim / 2.
        rotary_scaling: how long contexts stretch the wavelengths of layers without a local base; see `RotaryScaling`.
        alibi_scale: factor on the slopes of alibi (Falcon divides them by `sqrt(d_head)`).
        alibi_rounded: slopes times positions are rounded to bfloat16 before that, as Falcon was trained.
        attention_dir: "causal" or "bidirectional".
        attn_only: leave the MLPs out.
        parallel_attn_mlp: attention and MLP both read the stream before the block.
        use_local_attn: some or all layers see only the last `window_size` positions, their own included.
        window_size: see `use_local_attn`.
        attn_types: "global" or "local" for each layer; all local when left out and `use_local_attn`.
        attn_scores_soft_cap: scores become `cap * tanh(score / cap)`; None for no cap.
        output_logits_soft_cap: the same for the logits.
        eps: added to the variance in norms.
        use_attn_scale: divide attention scores by `attn_scale`.
        attn_scale: `sqrt(d_head)` when left out.
        init_mode: "gpt2" (normal, s.d. `initializer_range`), "xavier_uniform" or "xavier_normal".
        initializer_range: `0.8 / sqrt(d_model)` when left out.
        init_weights: draw weights at construction; False leaves them uninitialised, to be loaded.
        seed: seed of the generator that draws the weights; None uses torch's global one.
        device: where the parameters lie.
        dtype: their type; a name such as "float32" is accepted.
        default_prepend_bos: whether text gets a beginning-of-sequence token unless a call says otherwise.
        model_name: what people call it.
        use_attn_result: switch for `attn.hook_result` (every head's own output).
        use_split_qkv_input: switch for `hook_q_input`, `hook_k_input`, `hook_v_input`.
        use_attn_in: switch for `hook_attn_in`; heads that share keys and values have no such point.
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
    n_key_value_heads: int | None = None
    d_mlp: int | None = DERIVED
    act_fn: str | None = None
    gated_mlp: bool = False
    num_experts: int | None = None
    experts_per_token: int | None = None
    d_vocab_out: int = DERIVED
    normalization_type: Literal["LN", "LNPre", "RMS", "RMSPre"] | None = "LN"
    norm_placement: Literal["before", "before_and_after", "after", "stream"] = "before"
    qk_norm: Literal["RMS", "joint RMS", "LN"] | None = None
    post_embedding_ln: bool = False
    positional_embedding_type: Literal["standard", "rotary", "shortformer", "alibi"] | None = "standard"
    rotary_dim: int | None = None
    rotary_base: float = 10000.0
    rotary_base_local: float | None = None
    rotary_adjacent_pairs: bool = False
    rotary_scaling: RotaryScaling | None = None
    alibi_scale: float = 1.0
    alibi_rounded: bool = False
    attention_dir: Literal["causal", "bidirectional"] = "causal"
    attn_only: bool = False
    parallel_attn_mlp: bool = False
    use_local_attn: bool = False
    window_size: int | None = None
    attn_types: tuple[str, ...] | None = None
    attn_scores_soft_cap: float | None = None
    output_logits_soft_cap: float | None = None
    eps: float = 1e-5
    use_attn_scale: bool = True
    attn_scale: float = DERIVED
    init_mode: Literal["gpt2", "xavier_uniform", "xavier_normal"] = "gpt2"
    initializer_range: float = DERIVED
    init_weights: bool = True
    seed: int | None = None
    device: torch.device | str = "cpu"
    dtype: torch.dtype | str = torch.float32
    default_prepend_bos: bool = True
    model_name: str = "custom"
    use_attn_result: bool = False
    use_split_qkv_input: bool = False
    use_attn_in: bool = False
    use_hook_mlp_in: bool = False
    use_hook_tokens: bool = False

    def __post_init__(self) -> None:
        """Fill in what follows from other fields, check everything, and freeze the architecture."""
        check_sizes(vars(self), REQUIRED)
        self._derive()
        check_values(vars(self))
        check_parts(vars(self))
        object.__setattr__(self, "_frozen", True)

    def _derive(self) -> None:
        if self.n_heads == DERIVED:
            if self.d_model % self.d_head:
                raise ConfigError(
                    f"d_model={self.d_model} is no multiple of d_head={self.d_head}; say n_heads explicitly."
                )
            self.n_heads = self.d_model // self.d_head
        if self.n_key_value_heads == self.n_heads:
            self.n_key_value_heads = None  # nothing is shared
        if self.d_mlp == DERIVED:
            self.d_mlp = None if self.attn_only else 4 * self.d_model
        if self.d_vocab_out == DERIVED:
            self.d_vocab_out = self.d_vocab
        if self.attn_scale == DERIVED:
            self.attn_scale = self.d_head**0.5 if self.use_attn_scale else 1.0
        if self.initializer_range == DERIVED:
            self.initializer_range = 0.8 / self.d_model**0.5
        if self.positional_embedding_type == "rotary" and self.rotary_dim is None:
            self.rotary_dim = self.d_head
        if self.attn_types is not None:
            self.attn_types = tuple(self.attn_types)
        elif self.use_local_attn:
            self.attn_types = ("local",) * self.n_layers
        if isinstance(self.dtype, str):
            check_member("dtype", self.dtype.removeprefix("torch."), tuple(DTYPES))
            self.dtype = DTYPES[self.dtype.removeprefix("torch.")]
        self.device = torch.device(self.device)

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
            check_bool(name, value)
            if name == "use_hook_mlp_in" and value and self.attn_only:
                raise ConfigError("use_hook_mlp_in needs MLPs, and this network is attn_only.")
            if name == "use_attn_in" and value and self.n_key_value_heads is not None:
                raise ConfigError(
                    "use_attn_in needs heads with keys and values of their own; here several share them. Use "
                    "use_split_qkv_input: hook_q_input has one input for each head, hook_k_input and hook_v_input one "
                    "for each key/value head."
                )
        object.__setattr__(self, name, value)

    @property
    def torch_dtype(self) -> torch.dtype:
        """The dtype of the parameters."""
        return DTYPES[self.dtype] if isinstance(self.dtype, str) else self.dtype

    @property
    def n_kv_heads(self) -> int:
        """Key/value heads per layer: `n_key_value_heads`, or `n_heads` when every head has its own."""
        return self.n_heads if self.n_key_value_heads is None else self.n_key_value_heads

    @property
    def use_qk_norm(self) -> bool:
        """Whether queries and keys are normalised."""
        return self.qk_norm is not None

    @property
    def use_normalization_before_and_after(self) -> bool:
        """Whether attention and MLP are normalised on both sides."""
        return self.norm_placement == "before_and_after"

    def is_local(self, layer: int) -> bool:
        """Whether this layer sees only the last `window_size` positions."""
        return self.attn_types is not None and self.attn_types[layer] == "local"

    def placed(self, device: torch.device, dtype: torch.dtype) -> None:
        """Note where the parameters lie now. Called by the network that owns this configuration when it is moved."""
        object.__setattr__(self, "device", device)
        object.__setattr__(self, "dtype", dtype)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        plain: dict[str, Any] = {"device": str(self.device), "dtype": str(self.dtype).removeprefix("torch.")}
        plain["rotary_scaling"] = None if self.rotary_scaling is None else self.rotary_scaling.to_dict()
        plain["attn_types"] = None if self.attn_types is None else list(self.attn_types)
        return {**values, **plain}

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
        missing = [name for name in REQUIRED if name not in values]
        if missing:
            raise ConfigError(f"HookedTransformerConfig needs {', '.join(missing)}.")
        plain: dict[str, Any] = {}  # what JSON has no values for
        if isinstance(values.get("rotary_scaling"), Mapping):
            plain["rotary_scaling"] = RotaryScaling.from_dict(values["rotary_scaling"])
        if isinstance(values.get("attn_types"), list):
            plain["attn_types"] = tuple(values["attn_types"])
        return cls(**{**values, **plain})

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
