"""The gateway's decisions: pure functions from what is observed and desired to actions, conditions and reasons."""
