"""What DETR and its relatives share: a backbone, an encoder over what it sees, and a decoder of queries that each find one thing.

Source: transformers 5.24, models/detr/modeling_detr.py (`DetrModel`, `DetrConvEncoder`, whose norms are frozen: buffers, no parameters);
Carion et al. 2020, arXiv:2005.12872. Relatives override what differs.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from archcalc.arch._composite import DEFAULT, Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._heads import labels_of
from archcalc.arch._schema import Flag, Layers, Size, TowerSchema, divided, nested
from archcalc.arch._vit import AloneSchema, as_backbone, below
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, table
from archcalc.errors import UnsupportedError
from archcalc.model import Encoder, Layer, Tensor, stack

NAMES = ("q_proj", "k_proj", "v_proj", "o_proj")
TIMM = {"model_type": "timm_backbone", "backbone": "resnet50", "out_indices": [1, 2, 3, 4]}


def perceptron(name: str, hidden: int, out: int, layers: int = 3, inner: int = 0) -> Iterator[Tensor]:
    """Linear layers with an activation between them."""
    for i in range(layers):
        yield from linear(
            f"{name}.layers.{i}", out if i == layers - 1 else hidden, (inner or hidden) if i == 0 else hidden, "head", bias=True
        )


def frozen(tower: TowerSchema, prefix: str) -> Pieces:
    """A backbone whose batch norms, if it has any, are not trained, and are no parameters."""
    if not tower.batch_norms:
        return as_backbone(tower, prefix)
    groups, stacks = tower.tower(prefix)
    groups = [g._replace(tensors=tuple(t for t in g.tensors if t.role != "norm")) for g in groups]
    stacks = [
        s._replace(kinds=tuple(k._replace(tensors=tuple(t for t in k.tensors if t.role != "norm")) for k in s.kinds))
        for s in stacks
    ]
    return groups, stacks


def sampling(h: int, heads: int, levels: int, points: int) -> Iterator[Tensor]:
    """Attention to `points` places of each of `levels` feature maps, which the query chooses (arXiv:2010.04159)."""
    places = heads * levels * points
    yield from linear("sampling_offsets", 2 * places, h, "attention", bias=True)
    yield from linear("attention_weights", places, h, "attention", bias=True)
    for name in ("value_proj", "output_proj"):
        yield from linear(name, h, h, "attention", bias=True)


def deformable_layer(h: int, heads: int, levels: int, points: int, inner_width: int) -> Layer:
    """A layer over several feature maps, each place of which looks at a few of every one."""
    norms = (*layer_norm("self_attn_layer_norm", h), *layer_norm("final_layer_norm", h))
    tensors = (*prefixed("self_attn", sampling(h, heads, levels, points)), *norms, *FeedForward(h, inner_width).tensors())
    return Layer(f"deformable attention ({heads})", f"FFN {inner_width}", tensors, (), (), 0, 4 * h, 2 * inner_width)


# DETR and those that follow it closely have this name too; others have the key, and do not read it.
LAYERS = {"hidden_size": "d_model", "num_attention_heads": "encoder_attention_heads", "num_hidden_layers": "encoder_layers"}


class DetrSchema(AloneSchema):
    """A detector as its hooks say."""

    outcome = "picture"

    alone = "a detector: it writes no text and keeps no cache"
    inert_keys: ClassVar[tuple[str, ...]] = (
        "auxiliary_loss", "init_xavier_std", "class_cost", "bbox_cost", "giou_cost", "mask_loss_coefficient",
        "dice_loss_coefficient", "bbox_loss_coefficient", "giou_loss_coefficient", "cls_loss_coefficient", "eos_coefficient",
        "focal_alpha", "dilation", "encoder_layerdrop", "decoder_layerdrop", "max_position_embeddings", "return_intermediate",
        "disable_custom_kernels", "tie_word_embeddings", "num_hidden_layers", "use_pretrained_backbone", "scale_embedding",
        "backbone_kwargs", "use_timm_backbone", "backbone", "two_stage_num_proposals",
    )  # fmt: skip
    other_names: ClassVar[Mapping[str, str]] = {"hidden_size": "d_model", "num_attention_heads": "encoder_attention_heads"}
    root = "model"
    names: ClassVar[tuple[str, str, str, str]] = NAMES
    ffn_name: ClassVar[str] = "mlp"
    encoder_norm: ClassVar[bool] = False
    backbone_name: ClassVar[str] = "backbone"
    # The backbone where the config names none.
    usual: ClassVar[dict[str, Any]] = TIMM

    backbone_config: Annotated[TowerSchema, nested("timm_backbone"), DEFAULT]
    num_channels: Size = 3
    num_queries: Size = 100
    d_model: Size = 256
    encoder_layers: Layers = 6
    encoder_ffn_dim: Size = 2048
    encoder_attention_heads: Size = 8
    decoder_layers: Layers = 6
    decoder_ffn_dim: Size = 2048
    decoder_attention_heads: Size = 8
    activation_function: str = "relu"
    position_embedding_type: Literal["sine", "learned"] = "sine"
    two_stage: Flag = False

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        """Configs of before 5.0 name timm's model, and no config of it."""
        if config.get("backbone_config") is not None:
            return config
        more = config.get("backbone_kwargs")
        made = {
            **cls.usual,
            "backbone": config.get("backbone") or cls.usual["backbone"],
            "num_channels": config.get("num_channels", 3),
        }
        return {**config, "backbone_config": {**made, **(more if isinstance(more, dict) else {})}}

    @property
    def hidden_size(self) -> int:
        return self.d_model

    @property
    def num_attention_heads(self) -> int:
        return self.encoder_attention_heads

    def channels(self) -> list[int]:
        """The widths of the backbone's feature maps."""
        found: Any = getattr(self.backbone_config, "channels", None)
        if found is None and hasattr(self.backbone_config, "asked"):
            return [width for _, width in self.backbone_config.asked()]
        if found is None:
            raise UnsupportedError("backbone_config is of a type whose feature maps are not known here")
        widths: list[int] = found()
        return widths

    def attention(self, heads: int) -> GroupedQueryAttention:
        h = self.d_model
        dim = divided(h, heads, "d_model", "attention_heads")
        return GroupedQueryAttention(h, heads, heads, dim, bias=True, output_bias=True, rope=False, names=self.names)

    def layer(self, heads: int, width: int, *, decodes: bool) -> Layer:
        h = self.d_model
        norms = [*layer_norm("self_attn_layer_norm", h), *layer_norm("final_layer_norm", h)]
        if decodes:
            norms += (*prefixed("encoder_attn", self.cross()), *layer_norm("encoder_attn_layer_norm", h))
        ffn = FeedForward(h, width, self.activation_function)
        layer = encoder_layer(self.attention(heads), ffn, norms, ffn_name=self.ffn_name)
        return layer._replace(tensors=(*(t for t in layer.tensors if not self.replaced(t, decodes)), *self.instead(decodes)))

    def cross(self) -> Iterable[Tensor]:
        """What a decoder's layer reads the encoder with."""
        return self.attention(self.decoder_attention_heads).tensors()

    def replaced(self, t: Tensor, decodes: bool) -> bool:
        """Whether a layer has others in place of this tensor."""
        return False

    def instead(self, decodes: bool) -> Iterable[Tensor]:
        return ()

    def outside(self) -> Iterator[Tensor]:
        """What stands beside backbone and layers."""
        h = self.d_model
        yield table("query_position_embeddings", self.num_queries, h)
        yield from conv("input_projection", h, self.channels()[-1], 1, 1)
        if self.encoder_norm:
            yield from layer_norm("encoder.layernorm", h)
        yield from layer_norm("decoder.layernorm", h)

    def positions(self) -> Iterator[Tensor]:
        if self.position_embedding_type == "learned":
            for name in ("row", "column"):
                yield table(f"position_embedding.{name}_embeddings", 50, self.d_model // 2)

    def body(self, prefix: str, named: str) -> Pieces:
        groups, stacks = frozen(self.backbone_config, join(prefix, f"{self.backbone_name}.model"))
        own = group("vision", below(prefix, (*self.outside(), *self.positions())))
        halves = (
            ("encoder", self.encoder_layers, self.encoder_attention_heads, self.encoder_ffn_dim),
            ("decoder", self.decoder_layers, self.decoder_attention_heads, self.decoder_ffn_dim),
        )
        for name, layers, heads, inner_width in halves:
            layer = self.layer(heads, inner_width, decodes=name == "decoder")
            stacks.append(stack(join(prefix, f"{name}.layers"), "vision", [layer] * layers))
        return [*groups, own], stacks

    def labels(self) -> int:
        return labels_of(self.model_extra or {})

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if name.endswith("ForObjectDetection"):
            labels = linear("class_labels_classifier", self.labels() + 1, self.d_model, "head", bias=True)  # and nothing at all
            return (*labels, *perceptron("bbox_predictor", self.d_model, 4))
        return super().head_of(name)

    def encoders(self) -> tuple[Encoder, ...]:
        return ()
