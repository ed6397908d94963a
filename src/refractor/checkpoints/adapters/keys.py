"""Reading a family's configuration: every key is used, or ignored for a stated reason, or the load stops."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from refractor.base.errors import CheckpointError, nearest

_BOOKKEEPING = "says where the model comes from"
_TRAINING = "matters while training only"
_TEXT = "belongs to the tokenizer or to generation"
_OUTPUT = "says what another library returns"
_TASK = "belongs to another head than that of a language model"
_RUNNING = "says how another library computes the same"

INERT: Mapping[str, str] = MappingProxyType(
    {
        key: reason
        for reason, keys in (
            (
                _BOOKKEEPING,
                "architectures model_type transformers_version _name_or_path auto_map gradient_checkpointing "
                "dtype torch_dtype task_specific_params name_or_path _commit_hash name model_max_length "
                "transformers.js_config",
            ),
            (
                _TRAINING,
                "initializer_range init_std initializer_factor layerdrop router_aux_loss_coef router_jitter_noise "
                "embd_pdrop attn_pdrop resid_pdrop attention_dropout hidden_dropout embed_dropout resid_dropout "
                "dropout classifier_dropout activation_dropout summary_first_dropout",
            ),
            (
                _TEXT,
                "bos_token_id eos_token_id pad_token_id sep_token_id decoder_start_token_id prefix bos_token "
                "eos_token unk_token_id tokenizer_class forced_bos_token_id forced_eos_token_id max_length "
                "suppress_tokens begin_suppress_tokens",
            ),
            (
                _OUTPUT,
                "use_cache output_hidden_states output_attentions return_dict output_router_logits "
                "return_dict_in_generate output_scores keys_to_ignore_at_inference",
            ),
            (
                _TASK,
                "id2label label2id num_labels problem_type finetuning_task summary_type summary_use_proj "
                "summary_activation summary_proj_to_labels",
            ),
            (
                _RUNNING,
                "pretraining_tp slow_but_exact _attn_implementation _attn_implementation_autoset "
                "attn_implementation use_flash_attn flash_attn fused_dense use_bfloat16 torchscript "
                "cache_implementation reorder_and_upcast_attn chunk_size_feed_forward",
            ),
        )
        for key in keys.split()
    }
)
"""Keys that say nothing about what the network computes, each with the reason why it is ignored."""

NEEDED = object()


class Keys:
    """A configuration of which every key must be asked for once.

    Args:
        values: the configuration.
        ignored: keys that this family ignores besides those of `INERT`, with reasons.

    """

    def __init__(self, values: Mapping[str, Any], ignored: Mapping[str, str] = MappingProxyType({})) -> None:
        self.values = dict(values)
        self.family = str(values.get("model_type", "?"))
        said = {key for key, value in self.values.items() if value is not None}  # null says that a key is not used
        self.unread = said - set(INERT) - set(ignored)

    def take(self, name: str, default: Any = NEEDED) -> Any:
        """Return the value of a key; a default stands for a key that is missing or null.

        Raises:
            CheckpointError: it is missing and has no default.

        """
        self.unread.discard(name)
        value = self.values.get(name)
        if value is None and default is NEEDED:
            raise CheckpointError(f"the configuration of this {self.family} model has no {name!r}, which is needed.")
        return default if value is None else value

    def size(self, name: str, default: Any = NEEDED) -> int:
        """Return the value of a key that must be an integer of at least 1.

        Raises:
            CheckpointError: it is not.

        """
        value = self.take(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise CheckpointError(
                f"{name} in the configuration of this {self.family} model must be a whole number of at least 1; "
                f"{value!r} came."
            )
        return value

    def number(self, name: str, default: Any = NEEDED) -> float:
        """Return the value of a key that must be a number.

        Raises:
            CheckpointError: it is not.

        """
        value = self.take(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise CheckpointError(
                f"{name} in the configuration of this {self.family} model must be a number; {value!r} came."
            )
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """Return the value of a key that must be true or false.

        Raises:
            CheckpointError: it is not.

        """
        value = self.take(name, default)
        if not isinstance(value, bool):
            raise CheckpointError(
                f"{name} in the configuration of this {self.family} model must be true or false; {value!r} came."
            )
        return value

    def only(self, name: str, allowed: Iterable[Any]) -> None:
        """Raise unless a key, where it is there, has a value that this family is supported with.

        Raises:
            CheckpointError: it has another one.

        """
        supported = list(allowed)
        self.unread.discard(name)
        if name in self.values and self.values[name] is not None and self.values[name] not in supported:
            raise CheckpointError(
                f"{self.family} models with {name}={self.values[name]!r} are not supported, only with "
                f"{' or '.join(repr(value) for value in supported)}."
            )

    def finish(self) -> None:
        """Raise if a key was left unread: what it means is not known, so the network would not be what it says.

        Raises:
            CheckpointError: naming the keys, and the nearest that are known.

        """
        if not self.unread:
            return
        first = sorted(self.unread)[0]
        near = nearest(first, [*(set(self.values) - self.unread), *INERT], 1)
        raise CheckpointError(
            f"the configuration of this {self.family} model has {len(self.unread)} keys that are not known: "
            f"{', '.join(map(repr, sorted(self.unread)))}"
            + (f" (near {near[0]!r})" if near else "")
            + ". What they change "
            "is not built here, so the network would compute something else. If a key changes nothing, pass "
            "ignore_keys=[...]."
        )
