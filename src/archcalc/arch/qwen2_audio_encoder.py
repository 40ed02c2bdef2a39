"""The audio tower of Qwen2-Audio: Whisper's encoder.

Source: transformers 5.23, models/qwen2_audio/modeling_qwen2_audio.py (`Qwen2AudioEncoder`) and configuration_qwen2_audio.py (defaults).
"""

from archcalc.arch._whisper import WhisperTower as Schema

__all__ = ["Schema"]
