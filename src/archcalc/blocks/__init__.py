"""Blocks: the parts that layers are made of. Each owns its tensors, its cache, its FLOPs and what it is called."""
