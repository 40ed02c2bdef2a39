"""Preference and reinforcement learning: which models stand beside the trained one, and what one forward pass holds.

Read in TRL 1.16 (trainer/dpo_trainer.py, kto_trainer.py, grpo_trainer.py, reward_trainer.py) and, for PPO, TRL 0.24
(trainer/ppo_trainer.py `PPOTrainer`).
"""

from __future__ import annotations

from typing import Literal

from archcalc.analysis.training.run import Run
from archcalc.errors import UsageError
from archcalc.records import NamedTuple

Method = Literal["sft", "dpo", "kto", "grpo", "ppo", "reward"]


class Asked(NamedTuple):
    """What the method's own options say. `completion` is how many tokens of a sequence are scored, None for all.

    `headed` is true of frameworks that put a head of one number on the trained model itself, which keeps the one for the vocabulary
    (TRL's `AutoModelForCausalLMWithValueHead`): no value model stands beside it, and reward models only as many as `reward_models`."""

    method: Method = "sft"
    completion: int | None = None
    reference: bool | None = None
    rollout_bytes: int = 0
    headed: bool = False
    reward_models: int = 1


def with_method(run: Run, asked: Asked) -> tuple[Run, list[str]]:
    """The run as the method makes it, and what to say of it.

    - DPO and reward models put the chosen and the rejected sequence of each pair into one forward pass (dpo_trainer.py
      `DataCollatorForPreference`: the batch is twice as long).
    - DPO and KTO keep a reference model, unless an adapter is trained (it is switched off for the reference) or its
    log-probabilities are
      computed before (`precompute_ref_log_probs`); GRPO only where `beta` is above 0, which is not the default.
    - KTO's second pass over mismatched completions has no gradient.
    - A reward model scores a sequence with one number in place of the vocabulary.
    - PPO trains a value model of the same size, and keeps a reference and a reward model; where the trained model has a head of one
    number (`headed`), it is the value model, and a reward model's logits over the vocabulary are made too.
    """
    name, lora = asked.method, bool(run.lora)
    if name == "sft" and (asked.completion or asked.reference or asked.rollout_bytes):
        raise UsageError(
            "--completion, --reference and --rollout-share change nothing with --method sft", "give --method dpo, grpo or ppo"
        )
    if name == "reward" and (asked.completion or asked.reference):
        raise UsageError(
            "--completion and --reference change nothing with --method reward: a score is one number of a sequence",
            "leave them out",
        )
    if name in ("sft", "dpo", "kto", "reward") and asked.rollout_bytes:
        raise UsageError(f"--rollout-share: --method {name} generates nothing", "it goes with grpo and ppo")
    if asked.completion is not None and asked.completion > run.seq:
        raise UsageError(
            f"--completion {asked.completion:,} is longer than the sequence of {run.seq:,} tokens", "--seq counts the prompt too"
        )
    keeps = {"dpo": not lora, "kto": not lora, "grpo": False, "ppo": not lora}.get(name, False)
    reference = keeps if asked.reference is None else asked.reference
    copies = int(reference) + (asked.reward_models if name == "ppo" else 0)
    notes = []
    changes: dict[str, object] = {"frozen_models": copies, "engine_bytes": asked.rollout_bytes}
    if name in ("dpo", "reward"):
        changes |= {"micro_batch": 2 * run.micro_batch, "pairs": True}
        notes.append(f"{run.micro_batch} pair{'s' if run.micro_batch > 1 else ''}: chosen and rejected sequences are one batch")
    if name != "sft":
        changes["output_freed"] = False  # Their losses read the logits.
    if name == "reward":
        changes["loss"] = "scalar"
        if asked.headed:
            changes["headed"] = True
            notes.append("the score is made beside the logits over the vocabulary, which every token has")
            if not lora and run.dp == 1 and not run.stage:
                notes.append("the head for the vocabulary has no gradient, so no states: the loss reads the scores alone")
    if asked.completion is not None:
        changes["scored"] = asked.completion
    if name == "ppo" and asked.headed:
        kept = "a reward model of that size is kept" if asked.reward_models else "no reward model stands beside it"
        notes.append(f"the values are a head's on the policy itself, and {kept}")
    elif name == "ppo":
        changes["value_model"] = True
        notes.append("a value model of the same size is trained beside the policy, a reward model of that size is kept")
    if reference:
        notes.append("a reference model is kept: --no-reference where its log-probabilities are computed before")
    elif name in ("dpo", "kto", "ppo"):
        notes.append("no reference model: the adapter is switched off for it" if lora else "no reference model is kept")
    elif name == "grpo":
        notes.append("no reference model: TRL's beta is 0 unless it is given (--reference)")
    if name in ("grpo", "ppo"):
        where = (
            "shares the GPU"
            if asked.rollout_bytes
            else "is apart or asleep while training: --rollout-share 0.3 for vLLM on the same GPUs"
        )
        notes.append(f"the engine of the rollouts {where}")
    return run._replace(**changes), notes  # type: ignore[arg-type]
