"""`from_pretrained` for a plan. Source: transformers 5.24, models/auto/auto_factory.py, modeling_utils.py."""

from __future__ import annotations

import json

from archcalc.engines._command import TORCH, not_set
from archcalc.engines.plan import Ask, Candidate, Command, Named
from archcalc.engines.served import needs_code


def command(named: Named, ask: Ask, model: Candidate) -> Command:
    notes = not_set("transformers", named)
    if ask.gpus.count > ask.gpus.device.per_machine:
        notes += (f"device_map spreads a model over one machine's GPUs, and {ask.gpus.count} are in several",)
    held = model.architecture
    name = json.dumps(named.name) if named.ready else named.name
    dtype = "auto" if held.dtype is None or held.dtype == named.stated else TORCH.get(held.dtype, "auto")
    arguments = [name, *([f"revision={json.dumps(named.revision)}"] if named.revision else [])]
    if needs_code("transformers", held):
        arguments.append("trust_remote_code=True")
        notes += ("trust_remote_code lets the repository's own code run, which holds the class of its config: read it first",)
    arguments += [f'dtype="{dtype}"', 'device_map="auto"', *(f"quantization_config={each}" for each in named.how)]
    parts = {g.part for g in held.groups} | {s.part for s in held.stacks}
    if "head" not in parts:
        kind = "AutoModel"
    elif parts & {"vision", "audio"}:
        kind = "AutoModelForImageTextToText" if "vision" in parts else "AutoModelForMultimodalLM"
    else:
        kind = "AutoModelForSeq2SeqLM" if any(s.part == "other" for s in held.stacks) else "AutoModelForCausalLM"
    return Command(f"{kind}.from_pretrained({', '.join(arguments)})", notes)
