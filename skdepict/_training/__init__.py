"""The method of the paper: its phases, their steps and their equations."""
