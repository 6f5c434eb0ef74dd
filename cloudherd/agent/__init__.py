"""The agent's decisions: records against a listing give launches, adoptions and destructions; pure."""
