"""The audio tower of Voxtral. Source: transformers 5.23, models/voxtral/ (Whisper's encoder, as in qwen2_audio)."""

from archcalc.arch._whisper import WhisperTower as Schema

__all__ = ["Schema"]
