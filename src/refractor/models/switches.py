"""The switches of optional hook points, under the names that notebooks call."""

from refractor.models.config import HookedTransformerConfig


class Switches:
    """Each is the same as assigning the field of `cfg`; an optional point is on, too, when a hook names it."""

    cfg: HookedTransformerConfig

    def set_use_attn_result(self, use_attn_result: bool) -> None:
        """Switch `attn.hook_result`: what every head adds."""
        self.cfg.use_attn_result = use_attn_result

    def set_use_split_qkv_input(self, use_split_qkv_input: bool) -> None:
        """Switch `hook_q_input`, `hook_k_input` and `hook_v_input`: what every head reads."""
        self.cfg.use_split_qkv_input = use_split_qkv_input

    def set_use_attn_in(self, use_attn_in: bool) -> None:
        """Switch `hook_attn_in`: what every head reads, for queries, keys and values together."""
        self.cfg.use_attn_in = use_attn_in

    def set_use_hook_mlp_in(self, use_hook_mlp_in: bool) -> None:
        """Switch `hook_mlp_in`: what the MLP reads, before its norm."""
        self.cfg.use_hook_mlp_in = use_hook_mlp_in
