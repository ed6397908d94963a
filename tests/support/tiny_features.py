"""What a wrong adapter does, done to the reference itself: each change leaves one feature of a family out.

A check of an adapter is worth something if it fails for every one of them.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from tiny_configs import CONFIGS
from tiny_families import altered
from torch import Tensor, nn

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Edit = Callable[["PreTrainedModel"], object]


@dataclass(frozen=True)
class Feature:
    """A feature of a family and a model without it.

    Attributes:
        family: as in `FAMILIES`.
        name: what is ignored or mistaken.
        config: changes of the configuration that leave it out.
        edit: or a change of the model in place.
        floor: the largest change of a logit is at least this.
    """

    family: str
    name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    edit: Edit | None = None
    floor: float = 0.1

    def model(self, dtype: torch.dtype = torch.float32) -> "PreTrainedModel":
        """The family's model without the feature."""
        model = altered(self.family, dtype, **self.config)
        if self.edit is not None:
            with torch.no_grad():
                self.edit(model)
        return model


def biases(model: "PreTrainedModel") -> None:
    """Leave all biases out."""
    zeroed(r"bias$")(model)


def norms(model: "PreTrainedModel") -> None:
    """Forget the weights of all norms."""
    weights(r"norm.*weight$|ln_.*weight$")(model)


def zeroed(pattern: str) -> Edit:
    return lambda model: [parameter.zero_() for parameter in _named(model, pattern)]


def weights(pattern: str) -> Edit:
    """Set weights of norms to what they are before training."""

    def edit(model: "PreTrainedModel") -> None:
        for parameter in _named(model, pattern):
            parameter.fill_(0.0 if model.config.model_type.startswith("gemma") else 1.0)

    return edit


def scaled(pattern: str, factor: float, shift: float = 0.0) -> Edit:
    return lambda model: [parameter.mul_(factor).add_(shift) for parameter in _named(model, pattern)]


def rolled(pattern: str) -> Edit:
    return lambda model: [parameter.copy_(parameter.roll(1, 0)) for parameter in _named(model, pattern)]


def _named(model: "PreTrainedModel", pattern: str) -> list[nn.Parameter]:
    found = [parameter for name, parameter in model.named_parameters() if re.search(pattern, name)]
    if not found:
        raise LookupError(f"no parameter of {model.config.model_type} matches {pattern}")
    return found


def replaced(pattern: str, module: nn.Module) -> Edit:
    def edit(model: "PreTrainedModel") -> None:
        found = [name for name, _ in model.named_modules() if re.search(pattern, name)]
        if not found:
            raise LookupError(f"no module of {model.config.model_type} matches {pattern}")
        for name in found:
            model.set_submodule(name, module)

    return edit


def hooked(pattern: str, argument: str, change: Callable[[Tensor], Tensor]) -> Edit:
    """Change a keyword argument of some modules before they run."""

    def hook(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
        return args, {**kwargs, argument: change(kwargs[argument])}

    def edit(model: "PreTrainedModel") -> None:
        for name, module in model.named_modules():
            if re.search(pattern, name):
                module.register_forward_pre_hook(hook, with_kwargs=True)

    return edit


def falcon_slopes(factor: float) -> Edit:
    """Scale ALiBi where Falcon keeps it: in the mask."""
    return hooked("self_attention$", "attention_mask", lambda mask: torch.where(mask < -1e30, mask, mask * factor))


def six_slopes(alibi: Tensor) -> Tensor:
    """The slopes 2^(-8 i / 6) in place of Bloom's, which are those of four and of eight heads."""
    slopes = 2.0 ** (-8 / 6 * torch.arange(1.0, 7.0, dtype=alibi.dtype))
    return (slopes[:, None, None] * torch.arange(alibi.shape[-1])).repeat(len(alibi) // 6, 1, 1)


def turned(model: "PreTrainedModel") -> None:
    """Rotate the other pairs: neighbours in place of halves, or halves in place of neighbours."""
    gptj = model.config.model_type == "gptj"
    size = model.config.rotary_dim if gptj else model.config.head_dim
    halves = torch.arange(size).view(2, -1).T.reshape(-1)  # 0, size/2, 1, size/2 + 1, ...
    order = halves if not gptj else halves.argsort()
    d_head = model.config.hidden_size // model.config.num_attention_heads if gptj else size
    order = torch.cat((order, torch.arange(size, d_head)))
    for weight in _named(model, r"[qk]_proj.weight"):
        weight.copy_(weight.view(-1, d_head, weight.shape[1])[:, order].reshape(weight.shape))


def tiled(model: "PreTrainedModel") -> None:
    """Let the key/value heads take turns, where each should serve neighbouring query heads."""
    order = torch.tensor([0, 2, 1, 3])  # its own inverse
    for weight in _named(model, r"q_proj.weight"):
        weight.copy_(weight.view(4, -1, weight.shape[1])[order].reshape(weight.shape))
    for weight in _named(model, r"o_proj.weight"):
        weight.copy_(weight.view(len(weight), 4, -1)[:, order].reshape(weight.shape))


def rope(family: str, kind: str | None = None, layers: str | None = None, **changes: float) -> dict[str, Any]:
    """The rotary parameters of a family, some of them different."""
    own = CONFIGS[family]["rope_parameters"]
    if layers is not None:
        return {"rope_parameters": {**own, layers: {**own[layers], **changes}}}
    return {"rope_parameters": {**own, **({"rope_type": kind} if kind else {}), **changes}}


def plain_rope(family: str) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": "default", "rope_theta": CONFIGS[family]["rope_parameters"]["rope_theta"]}}


def _causal(mask: Tensor) -> Tensor:
    later = torch.ones(mask.shape[-2:], dtype=torch.bool).triu(1)
    return torch.zeros_like(mask).masked_fill(later, -math.inf)


FULL, SLIDING = "full_attention", "sliding_attention"
_LOCAL = CONFIGS["gemma3"]["rope_parameters"][SLIDING]
_GLOBAL = CONFIGS["gemma3"]["rope_parameters"][FULL]

FEATURES: tuple[Feature, ...] = (
    Feature("gpt2", "positions", edit=zeroed("wpe")),
    Feature("gpt2", "gelu_new", {"activation_function": "gelu"}, floor=1e-4),
    Feature("gpt2", "epsilon", {"layer_norm_epsilon": 1e-5}, floor=1e-4),
    Feature("gpt2", "division by √d_head", {"scale_attn_weights": False}),
    Feature("gpt2", "q, k, v bias", edit=zeroed("c_attn.bias")),
    Feature("gpt_neo", "positions", edit=zeroed("wpe")),
    Feature("gpt_neo", "windows", {"attention_types": [[["global"], 3]]}),
    Feature("gpt_neo", "window off by one", {"window_size": 9}),
    Feature("gpt_neo", "which layers have windows", {"attention_types": [[["local", "global", "global"], 1]]}),
    Feature("gpt_neo", "no division by √d_head", edit=scaled("q_proj", 0.25)),
    Feature("gpt_neo", "gelu_new", {"activation_function": "gelu"}, floor=1e-4),
    Feature("gptj", "rotation of a part", {"rotary_dim": 16}),
    Feature("gptj", "pairs that rotate", edit=turned),
    Feature("gptj", "bias of the unembedding", edit=zeroed("lm_head.bias")),
    Feature("gptj", "gelu_new", {"activation_function": "gelu"}, floor=1e-4),
    Feature("gpt_neox", "parallel blocks", {"use_parallel_residual": False}),
    Feature("gpt_neox", "rotation of a part", rope("gpt_neox", partial_rotary_factor=1.0)),
    Feature("gpt_neox", "base of the rotation", rope("gpt_neox", rope_theta=10000.0)),
    Feature("gpt_neox", "gelu", {"hidden_act": "gelu_new"}, floor=1e-4),
    Feature("gpt_neox", "q, k, v bias", edit=zeroed("query_key_value.bias")),
    Feature("gpt_neox_sequential", "sequential blocks", {"use_parallel_residual": True}),
    Feature("opt", "positions", edit=zeroed("embed_positions")),
    Feature("opt", "two rows before position 0", edit=rolled("embed_positions")),
    Feature("opt", "relu", {"activation_function": "gelu"}),
    Feature("opt", "q, k, v bias", edit=zeroed("[qkv]_proj.bias")),
    Feature("opt_350m", "norms after", {"do_layer_norm_before": True}),
    Feature("bloom", "slopes", edit=hooked("self_attention$", "alibi", torch.zeros_like)),
    Feature("bloom", "slopes not divided", edit=hooked("self_attention$", "alibi", lambda alibi: alibi / 4)),
    Feature("bloom", "norm of the embedding", edit=replaced("word_embeddings_layernorm$", nn.Identity())),
    Feature("bloom", "gelu by tanh", edit=replaced("gelu_impl$", nn.GELU()), floor=1e-4),
    Feature("bloom_six_heads", "slopes of two series", edit=hooked("self_attention$", "alibi", six_slopes)),
    Feature("falcon_7b", "base of the rotation", rope("falcon_7b", rope_theta=10000.0)),
    Feature("falcon_7b", "gelu", {"activation": "gelu_new"}, floor=1e-4),
    Feature("falcon_40b", "second norm of a block", edit=weights("ln_mlp.weight")),
    Feature("falcon_alibi", "slopes", edit=falcon_slopes(0.0)),
    Feature("falcon_alibi", "slopes once", edit=falcon_slopes(2.0)),
    Feature("falcon_alibi", "slopes divided", edit=falcon_slopes(4.0)),
    Feature("llama", "base of the rotation", rope("llama", rope_theta=10000.0)),
    Feature("llama", "pairs that rotate", edit=turned),
    Feature("llama", "groups of heads", edit=tiled),
    Feature("llama", "epsilon", {"rms_norm_eps": 1e-6}, floor=1e-4),
    Feature("llama", "silu", {"hidden_act": "gelu"}),
    Feature("llama3", "scaling", plain_rope("llama3")),
    Feature(
        "llama3",
        "scaling by bands",
        {"rope_parameters": {**plain_rope("llama3")["rope_parameters"], "rope_type": "linear", "factor": 8.0}},
    ),
    Feature("llama3", "original context", rope("llama3", original_max_position_embeddings=128)),
    Feature("llama_linear", "scaling", plain_rope("llama_linear")),
    Feature("llama_biased", "bias of the output", edit=zeroed("o_proj.bias")),
    Feature("llama_biased", "q, k, v bias", edit=zeroed("[qkv]_proj.bias")),
    Feature("llama_biased", "bias of the gate", edit=zeroed("gate_proj.bias")),
    Feature("llama_biased", "bias of the MLP", edit=zeroed("(up|down)_proj.bias")),
    Feature("mistral", "window", {"sliding_window": None}),
    Feature("mistral", "window off by one", {"sliding_window": 9}),
    Feature("mixtral", "two experts, not one", {"num_experts_per_tok": 1}),
    Feature("mixtral", "two experts, not all", {"num_experts_per_tok": 4}),
    Feature("mixtral", "window", {"sliding_window": None}),
    Feature("qwen2", "q, k, v bias", edit=zeroed("[qkv]_proj.bias")),
    Feature("qwen2_window", "window", {"use_sliding_window": False}),
    Feature("qwen2_window", "layers without window", {"max_window_layers": 0}),
    Feature("qwen3", "norms of queries and keys", edit=weights("[qk]_norm")),
    Feature("gemma", "embedding times √d_model", edit=scaled("embed_tokens", 1 / 8)),
    Feature("gemma", "weights of norms plus one", edit=scaled("norm.weight", 1.0, -1.0)),
    Feature("gemma", "gelu by tanh", edit=replaced("act_fn$", nn.GELU()), floor=1e-4),
    Feature("gemma2", "cap of attention", {"attn_logit_softcapping": None}),
    Feature("gemma2", "cap of logits", {"final_logit_softcapping": None}),
    Feature("gemma2", "query_pre_attn_scalar", {"query_pre_attn_scalar": 24}, floor=0.05),
    Feature("gemma2", "windows", {"layer_types": [FULL, FULL, FULL]}),
    Feature("gemma2", "which layers have windows", {"layer_types": [FULL, SLIDING, FULL]}),
    Feature("gemma2", "norm after attention", edit=replaced("post_attention_layernorm$", nn.Identity())),
    Feature("gemma2", "norm after the MLP", edit=replaced("post_feedforward_layernorm$", nn.Identity())),
    Feature("gemma2", "gelu by tanh", {"hidden_activation": "gelu"}, floor=1e-4),
    Feature("gemma2", "epsilon", {"rms_norm_eps": 1e-6}, floor=1e-4),
    Feature("gemma3", "base of local layers", rope("gemma3", layers=SLIDING, rope_theta=_GLOBAL["rope_theta"])),
    Feature("gemma3", "base of global layers", rope("gemma3", layers=FULL, rope_theta=_LOCAL["rope_theta"])),
    Feature("gemma3", "scaling of global layers", rope("gemma3", layers=FULL, factor=1.0)),
    Feature("gemma3", "norms of queries and keys", edit=weights("[qk]_norm")),
    Feature("gemma3", "windows", edit=hooked("layers.[02].self_attn$", "attention_mask", _causal)),
    Feature("gemma3", "query_pre_attn_scalar", {"query_pre_attn_scalar": 24}, floor=0.05),
    Feature("phi", "rotation of a part", rope("phi", partial_rotary_factor=1.0)),
    Feature("phi", "bias of the unembedding", edit=zeroed("lm_head.bias")),
    Feature("phi", "gelu_new", {"hidden_act": "gelu"}, floor=1e-4),
    Feature("phi3", "rotation of a part", rope("phi3", partial_rotary_factor=1.0)),
    Feature("phi3", "window", {"sliding_window": None}),
    Feature("stablelm", "rotation of a part", rope("stablelm", partial_rotary_factor=1.0)),
    Feature("stablelm", "q, k, v bias", edit=zeroed("[qkv]_proj.bias")),
    Feature("stablelm", "sequential blocks", {"use_parallel_residual": True}),
    Feature("stablelm_parallel", "norms of queries and keys", edit=weights("[qk]_layernorm")),
    Feature("stablelm_parallel", "parallel blocks", {"use_parallel_residual": False}),
    Feature("olmo2", "norms of queries and keys", edit=weights("[qk]_norm")),
    Feature("olmo2", "norm after attention", edit=replaced("post_attention_layernorm$", nn.Identity())),
    Feature("olmo2", "norm after the MLP", edit=replaced("post_feedforward_layernorm$", nn.Identity())),
    Feature("olmo2", "epsilon", {"rms_norm_eps": 1e-6}, floor=1e-4),
)
