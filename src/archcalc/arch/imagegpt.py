"""ImageGPT: GPT-2 over colours, pixel by pixel; norms have no biases, and the head no row for the beginning.

Source: transformers 5.24, models/imagegpt/modeling_imagegpt.py (`ImageGPTForCausalImageModeling`, `ImageGPTModel`) and
configuration_imagegpt.py (defaults); Chen et al. 2020, "Generative Pretraining From Pixels".
"""

from archcalc.arch import gpt2
from archcalc.arch._heads import labels_of, unrooted
from archcalc.arch._schema import Flag, Layers, Size
from archcalc.blocks._tensor import linear
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Group, Tensor


def bare_norm(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(t for t in tensors if not (t.role == "norm" and t.name.endswith(".bias")))


class Schema(gpt2.Schema):
    core_keys = ()
    own_heads = True

    vocab_size: Size = 513
    n_positions: Size = gpt2.alias("n_positions", "max_position_embeddings", default=1024)
    n_embd: Size = gpt2.alias("n_embd", "hidden_size", default=512)
    n_layer: Layers = gpt2.alias("n_layer", "num_hidden_layers", default=24)
    n_head: Size = gpt2.alias("n_head", "num_attention_heads", default=8)
    activation_function: str = "quick_gelu"
    tie_word_embeddings: Flag = False
    architectures: list[str] | None = None

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        named = self.architectures[0] if self.architectures else ""
        groups = tuple(g._replace(tensors=bare_norm(g.tensors)) for g in a.groups if g.part != "head")
        stacks = tuple(s._replace(kinds=tuple(k._replace(tensors=bare_norm(k.tensors)) for k in s.kinds)) for s in a.stacks)
        a = a._replace(stacks=stacks)
        if named.endswith("ImageGPTModel"):
            return unrooted(a._replace(groups=groups, facts=a.facts._replace(tied_embeddings=False)))
        if named.endswith("ForImageClassification"):
            rows = tuple(linear("score", labels_of(self.model_extra or {}), self.n_embd, "head"))
            return a._replace(groups=(*groups, Group("head", rows)), facts=a.facts._replace(tied_embeddings=False))
        if self.tie_word_embeddings:
            raise UnsupportedError("tie_word_embeddings is true: ImageGPT's head has a row less than its embedding")
        head = tuple(linear("lm_head", self.vocab_size - 1, self.n_embd, "head"))
        return a._replace(groups=(*groups, Group("head", head)))


class DecisionTransformer(gpt2.Schema):
    """Decision Transformer: GPT-2 over what was seen, done and earned, in place of words.
    Source: transformers 5.24, models/decision_transformer/modeling_decision_transformer.py (`DecisionTransformerModel`) and
    configuration_decision_transformer.py (defaults); Chen et al. 2021, arXiv:2106.01345."""

    prefix = "encoder"
    core_keys = ()
    inert_keys = (*gpt2.Schema.inert_keys, "action_tanh")
    own_heads = True

    vocab_size: Size = 1
    n_embd: Size = gpt2.alias("hidden_size", default=128)
    n_layer: Layers = gpt2.alias("n_layer", "num_hidden_layers", default=3)
    n_head: Size = gpt2.alias("n_head", "num_attention_heads", default=1)
    activation_function: str = "relu"
    state_dim: Size = 17
    act_dim: Size = 4
    max_ep_len: Size = 4096

    def outside(self) -> list[Tensor]:
        from archcalc.blocks.norm import layer_norm
        from archcalc.blocks.vision import table

        h = self.n_embd
        made = [table("embed_timestep", self.max_ep_len, h), *layer_norm("embed_ln", h)]
        for name, width in (("return", 1), ("state", self.state_dim), ("action", self.act_dim)):
            made += linear(f"embed_{name}", h, width, "embedding", bias=True)
            made += linear(f"predict_{name}{'.0' if name == 'action' else ''}", width, h, "head", bias=True)
        return made

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        groups = tuple(g for g in a.groups if g.part != "head")
        notes = (*a.notes, "a model of decisions: its tokens are states, actions and returns")
        return a._replace(
            groups=(*groups, Group("other", tuple(self.outside()))), facts=a.facts._replace(tied_embeddings=False), notes=notes
        )
