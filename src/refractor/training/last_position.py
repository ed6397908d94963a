"""The logits at the last position, without computing anything that only other positions need.

In a network of one layer the last position's logits depend on the other positions through keys and values alone, and
the key and value of a token at a position depend on nothing else. So, exactly:

- keys and values come from a table with one row per (token, position), d_vocab rows instead of one per example;
- of queries, attention rows, MLP and unembedding only the last position is computed;
- the last token is the same in every example ("="), so its query is one row, and since scores are linear in the
  keys, `q · k` is taken in the table, before rows are gathered.

For p = 113 and 3,830 examples this is about a quarter of the work of the plain pass; loss and gradients are the same
up to rounding.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from refractor.models.block import TransformerBlock
from refractor.models.transformer import HookedTransformer


def last_logits(
    model: HookedTransformer, tokens: Int[Tensor, "batch pos"], use_tables: bool = True
) -> Float[Tensor, "batch d_vocab_out"]:
    """Return `model(tokens)[:, -1]`, by tables where these apply.

    They apply to plain one-layer networks (learned positions or none, norms before attention and MLP, every head with
    keys and values of its own) without hooks when every row ends with the same token and there are at least as many
    rows as tokens; anything else takes the plain pass.

    >>> model = HookedTransformer(dict(n_layers=1, d_model=8, n_ctx=3, d_head=4, d_vocab=4, act_fn="relu", seed=0))
    >>> tokens = torch.cartesian_prod(torch.arange(3), torch.arange(3), torch.tensor([3]))
    >>> torch.allclose(last_logits(model, tokens), model(tokens)[:, -1], atol=1e-6)
    True

    """
    if not (use_tables and tables_apply(model, tokens)):
        return model(tokens)[:, -1]
    block = model.blocks[0]
    stream = embed_table(model, tokens[:1, -1], tokens.shape[1] - 1)
    mid = stream + block.attn.output(_mixed_values(model, tokens, stream))
    if not block.cfg.attn_only:
        mid = mid + block.mlp(block.ln2.plain(mid))
    return model.unembed(model.ln_final.plain(mid))


def tables_apply(model: HookedTransformer, tokens: Int[Tensor, "batch pos"]) -> bool:
    """Whether the tables give exactly what the plain pass gives, for less."""
    cfg = model.cfg
    plain_block = cfg.norm_placement == "before" and not cfg.parallel_attn_mlp and cfg.num_experts is None
    plain_heads = cfg.n_key_value_heads is None and cfg.qk_norm is None and cfg.attn_scores_soft_cap is None
    plain_positions = cfg.positional_embedding_type in ("standard", None) and not cfg.use_local_attn
    return (
        cfg.n_layers == 1
        and plain_block
        and plain_heads
        and plain_positions
        and len(tokens) >= model.cfg.d_vocab
        and bool((tokens[:, -1] == tokens[0, -1]).all())
        and not any(point.hooked for point in model.hook_points())
    )


def embed_table(model: HookedTransformer, tokens: Int[Tensor, " rows"], position: int) -> Float[Tensor, "rows d_model"]:
    """Return the residual stream of each token at one position, before the first block."""
    stream = model.embed(tokens)
    return stream if model.cfg.positional_embedding_type is None else stream + model.pos_embed.W_pos[position]


def _mixed_values(
    model: HookedTransformer, tokens: Int[Tensor, "batch pos"], last: Float[Tensor, "one d_model"]
) -> Float[Tensor, "batch head d_head"]:
    """Return z at the last position: the values of all positions, weighted by its attention."""
    block, cfg = model.blocks[0], model.cfg
    query = block.attn.queries(block.ln1.plain(last))[0] / cfg.attn_scale
    vocabulary = torch.arange(cfg.d_vocab, device=tokens.device)
    scores, values = [], []
    for position in range(tokens.shape[1] - 1):
        table = _score_and_value(block, embed_table(model, vocabulary, position), query)
        # One gather of scores and values together. Its backward pass is much faster than that of indexing.
        rows = functional.embedding(tokens[:, position], table)
        scores.append(rows[:, : cfg.n_heads])
        values.append(rows[:, cfg.n_heads :])
    own = _score_and_value(block, last, query).expand(len(tokens), -1)
    scores.append(own[:, : cfg.n_heads])
    values.append(own[:, cfg.n_heads :])
    pattern = torch.stack(scores).softmax(0)
    per_head = [value.unflatten(1, (cfg.n_heads, cfg.d_head)) for value in values]
    return torch.stack([weight.unsqueeze(2) * value for weight, value in zip(pattern, per_head, strict=True)]).sum(0)


def _score_and_value(
    block: TransformerBlock, stream: Float[Tensor, "rows d_model"], query: Float[Tensor, "head d_head"]
) -> Float[Tensor, "rows width"]:
    """Return, for each row, `q · k` of every head and then the values of every head, side by side."""
    read = block.ln1.plain(stream)
    scores = torch.einsum("rhd,hd->rh", block.attn.keys(read), query)
    return torch.cat([scores, block.attn.values(read).flatten(1)], dim=1)
