"""Qwen4, experimental: Gated DeltaNet and indexed attention, experts in every layer, hyper-connections, n-gram embeddings.

Source: transformers 5.23, models/qwen4_exp/modeling_qwen4_exp.py and configuration_qwen4_exp.py (defaults, `layer_types`),
conversion_mapping.py ("qwen4_exp_text": the n-grams' table in pieces). The reference implementation leaves `mtp.*` out, and so does this.
"""

from archcalc.arch._alternating import FULL, INDEXED, LINEAR, ratio
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import decoder
from archcalc.arch._qwen4_exp import StreamSchema
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.attention import head_sharing
from archcalc.blocks.hyper import gated_residual, widened
from archcalc.errors import ConfigError
from archcalc.model import Architecture, Layer


class Schema(StreamSchema):
    def computes(self) -> Computes:
        return super().computes()._replace(joined=True)

    def streamed(self, kind: str, index: int) -> Layer:
        """The layer around streams, `index` telling which of those with n-grams it is (from 1; 0 for none)."""
        h, streams, rank = self.hidden_size, self.hc_count, self.hc_lowrank
        layer = self.indexed() if kind == INDEXED else self.layer(LINEAR, True)
        tensors = [t for t in layer.tensors if t.name not in ("input_layernorm.weight", "post_attention_layernorm.weight")]
        for name in ("attn_hyper_connection", "mlp_hyper_connection"):
            tensors += gated_residual(name, h, streams, rank)
        caches = layer.caches
        if index:
            grams = self.grams(index - 1)
            tensors += prefixed("ple", grams.tensors())
            layer = layer._replace(mixer=f"{layer.mixer}, n-grams")
            caches = tuple(c._replace(states=(*c.states, *grams.states())) for c in caches)
        return widened(layer._replace(tensors=tuple(tensors), caches=caches), h, streams)

    def architecture(self, prefix: str) -> Architecture:
        h, streams, kinds, marked = self.hidden_size, self.hc_count, self.kinds(), sorted(set(self.ple_layer_ids or ()))
        for i in marked:
            if i > len(kinds) or kinds[i - 1] != LINEAR:
                raise ConfigError(f"ple_layer_ids holds {i}, which is no linear layer", "number layers from 1", "ple_layer_ids")
        order = [(kind, marked.index(i) + 1 if i in marked else 0) for i, kind in enumerate(kinds, 1)]
        built = {what: self.streamed(*what) for what in dict.fromkeys(order)}
        sharing, both = f"sparse {head_sharing(self.num_attention_heads, self.kv_heads)}", len(set(kinds)) > 1
        said = self.more()
        label = f"Gated DeltaNet + {sharing} ({ratio([FULL if k == INDEXED else k for k in kinds])})"
        said["attention"] = label if both else sharing if INDEXED in kinds else "Gated DeltaNet"
        said["more"] += (("hyper-connections", f"{streams} streams, gates of rank {self.hc_lowrank}"),)
        if marked:
            said["more"] += (("n-gram embeddings", f"{self.grams(0).rows():,} rows, in {len(marked)} layers"),)
        end = gated_residual("hyper_connection_mixer", h, streams, self.hc_lowrank, writes=False)
        facts = self.facts(moe=self.moe(), **said)
        return decoder([built[what] for what in order], facts, computes=self.computes(), prefix=prefix, final_norm=[], extra=end)
