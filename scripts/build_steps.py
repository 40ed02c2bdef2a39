"""Read off the reference's source how its decoders compute what no tensor shows: norms, the softmax of scores, joined rotation, routers.

    python scripts/build_steps.py FOLDER    FOLDER is an unpacked transformers wheel (the folder that holds `transformers/`)

Writes tests/data/steps.jsonl: one line a class that has a head, with the file it stands in. What a file says in a way not known here is
left out of its line, so that the test compares what was read and nothing else.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
from pathlib import Path
from typing import Any

OUT = Path(__file__).resolve().parent.parent / "tests" / "data" / "steps.jsonl"
# By the product that a norm's forward pass ends in.
GAINS = (
    (r"1\.0 \+ self\.weight", "rms-1p"),
    (r"self\.weight\.float\(\)|self\.weight\.to\((?:dtype=)?torch\.float32\)", "rms-cast-gain"),
    (r"\(self\.weight \* hidden_states\)\.to\(input_dtype\)", "rms-fp32"),
    (r"self\.weight \* hidden_states\.to\(input_dtype\)|\.type_as\(x\)\s+return output \* self\.weight", "rms"),
)
NORMS = r"self\.(?:input_layernorm|attention_norm|ln_1|pre_norm|norm1|norm_1|post_attention_layernorm) = (?:nn\.)?(\w+)\("


def main() -> None:
    """Parse the command line and do what it says."""
    parser = argparse.ArgumentParser(description="Read the steps of decoders off the reference's source.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder / "transformers" / "models"
    rows = [row for path in sorted(folder.glob("*/modeling_*.py")) for row in read(path)]
    OUT.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    print(f"{len(rows)} classes")


def read(path: Path) -> list[dict[str, Any]]:
    """A line for each class with a head of one file."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    bodies = {
        node.name: ast.get_source_segment(text, node) or ""
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
    }
    layers = [
        name
        for name in bodies
        if re.search(r"(Decoder|Text\w*)Layer$|Block$", name) and not re.search(r"Vision|Audio|Encoder", name)
    ]
    found: dict[str, Any] = {}
    norms = {norm_of(bodies, match) for name in layers for match in re.findall(NORMS, bodies[name])}
    if len(norms) == 1 and None not in norms:
        found["norm"] = norms.pop()
    eager = bodies.get("eager_attention_forward", "")
    soft = re.search(r"softmax\(([^\n]*)", eager)
    if soft and layers and ".float()" not in eager:
        # Sinks that are kept in fp32 make the scores that they are joined to fp32 too.
        wide = "sinks" in eager and re.search(r"self\.sinks = nn\.Parameter\([^\n]*float32", text) is not None
        found["softmax"] = "fp32" if wide or "float32" in soft[1] or "query.to(torch.float32)" in eager else "own"
    turn = bodies.get("apply_rotary_pos_emb", "")
    if turn and layers:
        found["joined"] = bool(re.search(r"cat\(\[[^\]]*(?:pass|nope)", turn))
    routers = {
        kind
        for name, body in bodies.items()
        if re.search(r"TopK?k?Router$", name) and "Vision" not in name and (kind := router(body))
    }
    if len(routers) == 1:
        found["router"] = routers.pop()
    if not found:
        return []
    heads = [name for name in bodies if name.endswith(("ForCausalLM", "ForConditionalGeneration", "LMHeadModel"))]
    return [{"class": name, "file": f"models/{path.parent.name}/{path.name}", **found} for name in heads]


def norm_of(bodies: dict[str, str], name: str) -> str | None:
    """How a norm with a gain is computed, by its class, or None where that is not told."""
    if name == "LayerNorm":
        return "layer"
    body = bodies.get(name, "")
    if "self.weight" not in body or not re.search(r"rsqrt|F\.layer_norm", body):
        return None
    if "F.layer_norm" in body:
        return "layer-1p" if re.search(r"weight \+ 1", body) else None
    kind = next((kind for pattern, kind in GAINS if re.search(pattern, body)), None)
    centered = "mean(-1" in body.replace("pow(2).mean(-1", "")
    return ("layer-fp32" if kind == "rms-cast-gain" else None) if centered else kind


def router(body: str) -> str | None:
    """How a router decides, by what its forward pass does first."""
    if "def forward" not in body or "topk" not in body:
        return None
    forward = body[body.index("def forward") :]
    if re.search(r"F\.linear\(\s*\w+\.(type\(torch\.float32\)|float\(\))", forward):
        return "grouped" if "group" in forward else "wide"
    scored, chosen = re.search(r"softmax|sigmoid", forward), re.search(r"topk\(", forward)
    if scored is None or chosen is None:
        return None
    if chosen.start() < scored.start():
        return "chosen"
    divided = re.search(r"/=? ?\(?\w+\.sum\(", forward)
    # Where a key decides, its default does not.
    return None if divided is None or "norm_topk_prob" in forward else "normalized"


if __name__ == "__main__":
    main()
