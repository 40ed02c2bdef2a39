"""Pure functions from an architecture and a workload to figures."""
