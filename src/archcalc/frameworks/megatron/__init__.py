"""Megatron-LM: its arguments, the weights of each rank, and the peak of each pipeline stage."""
