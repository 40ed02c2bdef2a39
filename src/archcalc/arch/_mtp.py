"""Multi-token prediction as published checkpoints store it; the reference implementation skips these tensors on loading.

Source: DeepSeek-V3, arXiv:2412.19437, section 2.2; deepseek-ai/DeepSeek-V3, README_WEIGHTS.md (layers behind the decoder's);
vLLM 0.33, models/qwen3_next_mtp.py and models/qwen3_5_mtp.py (`mtp.*`).
"""

from collections.abc import Callable, Sequence

from archcalc.arch._decoder import group
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import rms_norm
from archcalc.model import Group, Layer, Shard, Stack, Tensor, stack


def behind_decoder(
    layer: Callable[[tuple[Tensor, ...]], Layer],
    number: int,
    *,
    prefix: str,
    start: int,
    hidden: int,
    vocab: int,
    copies: bool,
    norm: str = "shared_head.norm",
) -> list[Stack]:
    """DeepSeek's MTP: `number` layers numbered on from the decoder's last, named below `prefix`.

    Beside a decoder layer each holds a projection of the hidden state next to the next token's embedding, a norm for each of the
    two, and one for the head, named `norm`; with `copies`, embedding and head once more. `layer` builds one with these tensors in it.
    """
    if not number:
        return []
    rows = Shard(0, vocab)
    own = (
        Tensor("embed_tokens.weight", (vocab, hidden), "embedding", rows, kind="copy"),
        Tensor("shared_head.head.weight", (vocab, hidden), "head", rows, kind="copy"),
    )
    extra = (
        *(own if copies else ()),
        rms_norm("enorm", hidden),
        rms_norm("hnorm", hidden),
        *linear("eh_proj", hidden, 2 * hidden, "other"),
        rms_norm(norm, hidden),
    )
    return [stack(f"{prefix}.layers", "mtp", [layer(extra)] * number, start)]


def apart(layers: Sequence[Layer], hidden: int, embedding_rows: int = 0) -> tuple[list[Stack], list[Group]]:
    """Qwen's MTP, named apart from the decoder: layers behind one projection, with an embedding only if it is its own."""
    if not layers:
        return [], []
    outside = [*linear("mtp.fc", hidden, 2 * hidden, "other")]
    outside += [rms_norm(f"mtp.{name}", hidden) for name in ("pre_fc_norm_hidden", "pre_fc_norm_embedding", "norm")]
    if embedding_rows:
        outside.append(Tensor("mtp.embed_tokens.weight", (embedding_rows, hidden), "embedding", Shard(0, embedding_rows)))
    return [stack("mtp.layers", "mtp", layers)], [group("mtp", outside)]
