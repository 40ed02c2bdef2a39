"""GLPN: SegFormer's encoder, and a light decoder that adds its stages up to a depth for each pixel.

Source: transformers 5.24, models/glpn/modeling_glpn.py (`GLPNModel`, `GLPNForDepthEstimation`, `GLPNSelectiveFeatureFusion`) and
configuration_glpn.py (defaults); Kim et al. 2022, arXiv:2201.07436.
"""

from collections.abc import Iterable, Iterator

from archcalc.arch import segformer
from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import join
from archcalc.arch._schema import Size
from archcalc.arch._whisper import conv
from archcalc.blocks.norm import layer_norm
from archcalc.model import Tensor

# What SegFormer's parts are called here.
LAYER = (
    ("layernorm_before.", "layer_norm_1."), ("layernorm_after.", "layer_norm_2."), ("mlp.fc1.", "mlp.dense1."), ("mlp.fc2.", "mlp.dense2."),
    ("attention.sequence_reduction.sequence_reduction.", "attention.self.sr."), ("attention.o_proj.", "attention.output.dense."),
    ("attention.sequence_reduction.layer_norm.", "attention.self.layer_norm."), ("attention.q_proj.", "attention.self.query."),
    ("attention.k_proj.", "attention.self.key."), ("attention.v_proj.", "attention.self.value."),
)  # fmt: skip


def renamed(t: Tensor) -> Tensor:
    return next((t._replace(name=new + t.name.removeprefix(old)) for old, new in LAYER if t.name.startswith(old)), t)


class Schema(segformer.Schema):
    outcome = "picture"

    root = "glpn"
    inert_keys = (*segformer.Schema.inert_keys, "max_depth", "head_in_index")

    decoder_hidden_size: Size = 64

    def body(self, prefix: str, named: str) -> Pieces:
        groups, stacks = super().body(prefix, named)

        def outer(name: str) -> str:
            number, _, rest = name.removeprefix(join(prefix, "stages.")).partition(".")
            part, _, end = rest.partition(".")
            found = {"blocks": f"block.{number}", "layer_norm": f"layer_norm.{number}.{end}"}
            return join(prefix, "encoder." + found.get(part, f"patch_embeddings.{number}.{end}"))

        kept = [g._replace(tensors=tuple(t._replace(name=outer(t.name)) for t in g.tensors)) for g in groups]
        layers = [tuple(k._replace(tensors=tuple(map(renamed, k.tensors))) for k in s.kinds) for s in stacks]
        return kept, [s._replace(prefix=outer(s.prefix), kinds=kinds) for s, kinds in zip(stacks, layers, strict=True)]

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        return self.depth() if name.endswith("ForDepthEstimation") else super().head_of(name)

    def depth(self) -> Iterator[Tensor]:
        width = self.decoder_hidden_size
        for i, h in enumerate(self.hidden_sizes[::-1]):
            if h != width:
                yield from conv(f"decoder.stages.{i}.convolution", width, h, 1, 1, role="head")
            for end, out, inner in (("1.0", width, 2 * width), ("2.0", width // 2, width), ("3", 2, width // 2)) if i else ():
                yield from conv(f"decoder.stages.{i}.fusion.convolutional_layer{end}", out, inner, 3, 3, role="head")
                if end != "3":
                    yield from layer_norm(f"decoder.stages.{i}.fusion.convolutional_layer{end[0]}.1", out)
        yield from conv("head.head.0", width, width, 3, 3, role="head")
        yield from conv("head.head.2", 1, width, 3, 3, role="head")
