"""Parameters, total and active, in every convention that people use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from archcalc.cards.labels import Quals
from archcalc.cards.models import Model
from archcalc.cards.truths.value import Find, Value


def _sums(model: Model) -> dict[str, tuple[int, int]]:
    """Total and active parameters by part, MTP layers among them."""
    out: dict[str, tuple[int, int]] = {}
    for c in model.report.params.components:
        total, active = out.get(c.part, (0, 0))
        out[c.part] = total + c.total, active + c.active
    return out


def _tables(model: Model) -> int:
    """What a token does not read of tables beside the input embedding: n-grams, hashes, a vector for each layer."""
    return sum(
        (tensor.elements - tensor.visited) * layers
        for part, tensor, layers in model.architecture.each_tensor()
        if part != "mtp" and tensor.counted and tensor.rows_read
    )


def _counted(model: Model, quals: Quals, which: int) -> Iterator[Value]:
    """Total (0) or active (1) parameters in every convention that the label leaves open."""
    sums = _sums(model)
    get = {part: sums.get(part, (0, 0))[which] for part in ("embedding", "head", "mtp", "vision", "audio", "other")}
    params = model.report.params
    everything = (params.total, params.active)[which]
    towers = get["vision"] + get["audio"]
    tied = model.report.architecture.tied_embeddings
    # A tied head is the embedding: leaving out one leaves out the other.
    without = [(get["embedding"], "without the embedding")] if not tied else []
    without.append(
        (get["embedding"] + get["head"], "without the embedding" + (", which is the head too" if tied else " and the head"))
    )
    name = "all parameters" if which == 0 else "all parameters but the experts a token does not visit"
    plain = [(everything, name)]
    if towers:
        plain.append((everything - towers, "the text model alone"))
    whole = list(plain)
    if which == 0 and (tables := _tables(model)):
        plain += [(n - tables, f"{basis}, without the tables that are read by index") for n, basis in plain]
    if quals.embedding != "without":
        yield from (Value(n, basis) for n, basis in plain)
        if get["mtp"] and quals.mtp != "without":
            yield from (
                Value(n + get["mtp"], f"{basis}, with the MTP layer{'s' * (model.report.architecture.mtp_layers > 1)}")
                for n, basis in plain
            )
        if which == 0 and quals.mtp != "without" and model.report.checkpoint is not None:
            stored = model.report.checkpoint
            yield Value(stored.elements, "elements of the checkpoint, as the Hub counts")
            if stored.stored_elements != stored.elements:
                yield Value(
                    stored.stored_elements, "elements of the checkpoint with its scales, as the Hub counted until 2026", "rare"
                )
    rare = "rare" if which == 0 and quals.embedding != "without" else ""
    if quals.embedding != "with":
        # Publishers who leave the embedding out mostly leave both matrices out; the other way follows.
        for n, basis in reversed(without) if quals.embedding == "without" else without:
            if n:
                for total, text in whole:  # such tables are part of the embedding
                    alone = text != whole[0][1]
                    if quals.embedding == "whole" and which == 0 and not _is_stated(model, total - n):
                        continue  # a total stated plainly is of all, unless the publisher's own leaves the embedding out
                    yield Value(total - n, f"{text if alone else ''} {basis}".strip(), "rare" if alone and which == 0 else rare)
                if get["mtp"] and quals.mtp != "without":
                    yield Value(whole[-1][0] + get["mtp"] - n, f"with MTP, {basis}", "rare")


def _total(model: Model, quals: Quals) -> Iterator[Value]:
    found = list(_counted(model, quals, 0))
    if quals.mtp == "with":
        # A checkpoint with more elements than the model has without them holds them too.
        total = model.report.params.total
        found = [v for v in found if "MTP" in v.basis or ("checkpoint" in v.basis and v.value > total)] or found
    yield from found
    # A size in a name is a name: Llama-2-70B has 68.98 B, and is said to have 70B.
    if (said := _IN_NAME.search(model.name.lower())) and quals.embedding != "without":
        named, total = round(float(said[1]) * 10 ** (9 if said[2] == "b" else 6)), model.report.params.total
        if _NEAR * abs(named - total) < total:
            yield Value(named, f"as its name says, of {total:,} in all", "name")


_IN_NAME = re.compile(r"(?<=-)(\d{1,4}(?:\.\d{1,2})?)([bm])(?=-|$)")
_ACTIVE_IN_NAME = re.compile(r"(?<=-a)(\d{1,4}(?:\.\d{1,2})?)([bm])(?=-|$)")
_NEAR = 33


def _active(model: Model, quals: Quals) -> Iterator[Value]:
    found = list(_counted(model, quals, 1))
    params = model.report.params
    if (routers := params.by_role["router"]) and quals.embedding != "without":
        towers = params.by_part.get("vision", 0) + params.by_part.get("audio", 0)
        found.append(
            Value(params.active - towers - routers, "without the routers" + (", the text model alone" if towers else ""), "rare")
        )
    if quals.mtp == "with":
        found = [v for v in found if "MTP" in v.basis] or found
    yield from found


def stated(model: Model, field: str) -> Iterator[int]:
    """What the publisher rounds a count of parameters to, by its own figures and its name for the model: 22B active of Qwen3-235B-A22B."""
    yield from (one.params for one in model.counts if one.field == field)
    if match := (_IN_NAME if field == "total_params" else _ACTIVE_IN_NAME).search(model.name.lower()):
        yield round(float(match[1]) * 10 ** (9 if match[2] == "b" else 6))


def _is_stated(model: Model, count: int) -> bool:
    """Whether the publisher's figure, or its name for the model, is a count to within a part in `_NEAR`."""
    return any(_NEAR * abs(count - one) < count for one in stated(model, "total_params"))


def _projector(model: Model) -> int:
    """Parameters between the vision tower and the text model."""
    return sum(
        tensor.elements * layers
        for part, tensor, layers in model.architecture.each_tensor()
        if part == "vision" and tensor.counted and re.search(r"projector|merger|multi_modal|mm_|connector|adapter", tensor.name)
    )


def _embedding(model: Model, quals: Quals) -> Iterator[Value]:
    sums = _sums(model)
    one, head = sums.get("embedding", (0, 0))[0], sums.get("head", (0, 0))[0]
    yield Value(one, "the embedding")
    if head:
        yield Value(one + head, "the embedding and the head")
    if tables := _tables(model):
        yield Value(one - tables, "the embedding without the tables that are read by index", "rare")
    if projector := _projector(model):
        # Table 1 of Gemma 3 (arXiv:2503.19786) divides the model into the tower, what embeds, and the rest.
        yield Value(one + projector, "the embedding and the projector of images", "rare")


def _mtp(model: Model, quals: Quals) -> Iterator[Value]:
    held = model.report.params.mtp
    yield Value(held, "MTP layers beside the decoder")
    if held:
        sums = _sums(model)
        shared = sum(sums.get(part, (0, 0))[0] for part in ("embedding", "head"))
        yield Value(held + shared, "the MTP layers with the embedding and the head that they share", "rare")


def _vision(model: Model, _: Quals) -> Iterator[Value]:
    if whole := model.report.params.by_part.get("vision", 0):
        if projector := _projector(model):
            yield Value(whole - projector, "the vision tower without its projector")
        yield Value(whole, "the vision tower")


def _active_share(model: Model, _: Quals) -> Iterator[Value]:
    p = model.report.params
    if not p.total:
        return
    yield Value(Fraction(p.active, p.total), "active over total, all parameters")
    sums = _sums(model)
    towers = p.by_part.get("vision", 0) + p.by_part.get("audio", 0)
    if towers:
        yield Value(Fraction(p.active - towers, p.total - towers), "active over total, the text model alone")
    if routers := p.by_role["router"]:
        yield Value(Fraction(p.active - towers - routers, p.total - towers), "active without the routers over total", "rare")
    left_out = sum(sums.get(part, (0, 0))[0] for part in ("embedding", "head"))
    yield Value(Fraction(p.active - left_out, p.total - left_out), "active over total, without the embedding and the head")
    # Publishers leave the embedding out of the one and not of the other: 5.1 of 117 billion of gpt-oss-120b.
    for active in _counted(model, Quals(), 1):
        yield Value(Fraction(active.value) / p.total, f"active, {active.basis}, over all parameters", "rare")


def _ffn(model: Model, _: Quals) -> Iterator[Value]:
    by_role = model.report.params.by_role
    dense = by_role["mlp"]
    routed = by_role["experts"] + by_role["shared_experts"]
    if dense or not routed:
        yield Value(dense, "dense FFNs, every part of the model together")
    if routed:
        yield Value(dense + routed, "dense FFNs and experts")
        yield Value(dense + routed + by_role["router"], "dense FFNs, experts and routers")


FIELDS: dict[str, Find] = {
    "ffn_params": _ffn,
    "active_share": _active_share,
    "total_params": _total,
    "active_params": _active,
    "embedding_params": _embedding,
    "mtp_params": _mtp,
    "vision_params": _vision,
}
